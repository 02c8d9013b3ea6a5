"""The broker that subcommands read from and write to."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tailrace.stack.errors import StackError

if TYPE_CHECKING:
    from servicekit.kafka import KafkaBus


@contextmanager
def broker() -> Iterator["KafkaBus"]:
    """The bus of the local stack, or of `KAFKA_BOOTSTRAP_SERVERS`.

    Raises:
        StackError: the broker does not answer.
    """
    from servicekit.errors import UnavailableError
    from servicekit.kafka import KafkaBus
    from tailrace.stack.parts import EMBEDDED_IDLE_REST_SECONDS
    from tailrace.stack.settings import stack_settings

    settings = stack_settings()
    address = settings.kafka_bootstrap_servers or f"127.0.0.1:{settings.kafka_port}"
    try:
        yield KafkaBus(address, idle_rest_seconds=EMBEDDED_IDLE_REST_SECONDS)
    except UnavailableError as error:
        raise StackError(
            f"the broker {address} is away ({error}): tailrace up starts the local one, and"
            " KAFKA_BOOTSTRAP_SERVERS names another"
        ) from error
