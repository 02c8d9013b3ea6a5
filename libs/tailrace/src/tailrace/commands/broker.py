"""The broker that subcommands read from and write to."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.stack.errors import StackError

if TYPE_CHECKING:
    from servicekit.kafka import KafkaBus


@contextmanager
def broker() -> Iterator["KafkaBus"]:
    """The bus of the local stack, or of `KAFKA_BOOTSTRAP_SERVERS`.

    Raises:
        StackError: the broker does not answer.
    """
    from local.stack.settings import stack_settings
    from servicekit.access import KafkaAccess
    from servicekit.errors import UnavailableError
    from servicekit.kafka import BUSES
    from servicekit.settings import load_settings

    settings = stack_settings()
    address = settings.kafka_bootstrap_servers or ",".join(settings.kafka_addresses)
    options = load_settings(KafkaAccess).client_options()
    try:
        yield BUSES[settings.broker_kind](address, options=options)
    except UnavailableError as error:
        raise StackError(
            f"the broker {address} is away ({error}): tailrace up starts the local one, and"
            " KAFKA_BOOTSTRAP_SERVERS names another"
        ) from error
