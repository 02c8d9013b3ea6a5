"""Starts the predictor."""

import gc
import os
import sys

from predictor.adapters.journal.spool.slots import SpoolUnusableError
from predictor.settings import PredictorSettings
from predictor.workers.shared_metrics import VARIABLE, shared_metrics
from predictor.workers.worker import ForkedWorker
from servicekit.command import settings_of_command
from servicekit.exits import EXIT_UNUSABLE
from servicekit.listening import reserve

# What imports prometheus_client is imported in functions: where the metrics lie is decided then.

DOES = """\
Answers predictions over HTTP with the champion or the canary, and logs each of them. It keeps no
place in Kafka: at each start it reads rollout.step, which holds the newest step of each model."""


def main() -> None:
    """Read the environment, and serve until told to stop."""
    settings = settings_of_command(PredictorSettings, "predictor", DOES)
    # A request makes thousands of objects and no cycles: the default of 700 collects in vain.
    gc.set_threshold(50_000, 50, 50)
    if settings.workers == 1:
        os.environ.pop(VARIABLE, None)  # another's folder, at the cost of every metric
        serve(settings)
        return
    with shared_metrics():
        sys.exit(_supervise(settings))


def serve(settings: PredictorSettings, worker: ForkedWorker | None = None) -> None:
    """Be a process that answers, alone or as one of several."""
    from predictor.api.direct import protocol_of
    from predictor.app import build, direct, shortcut
    from servicekit.kafka import bus_from
    from servicekit.run import run

    if worker is not None and settings.score_requested_member is not None:
        member = f"{settings.score_requested_member}-{worker.number}"
        settings = settings.model_copy(update={"score_requested_member": member})
    bus = bus_from(settings)
    try:
        components, api = build(settings, bus)
    except SpoolUnusableError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person who started it
        sys.exit(EXIT_UNUSABLE)
    run(
        "predictor",
        settings,
        components,
        api,
        before=shortcut,
        protocol=protocol_of(direct(api)),
        worker=worker,
    )


def _supervise(settings: PredictorSettings) -> int:
    from predictor.app import preload
    from predictor.workers.supervisor import Supervisor

    grpc = None
    if settings.grpc_port is not None:
        grpc = reserve(settings.http_host, settings.grpc_port, "GRPC_PORT")
        settings = settings.model_copy(update={"grpc_port": grpc.getsockname()[1]})
    preload(settings)
    return Supervisor(
        "predictor",
        settings,
        lambda worker: serve(settings, worker),
        workers=settings.workers,
        silence_seconds=settings.worker_silence_seconds,
    ).run()


if __name__ == "__main__":
    main()
