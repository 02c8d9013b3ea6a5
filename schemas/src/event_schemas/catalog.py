"""Who sends and who receives each event: plain data for documents and for tests."""

from typing import NamedTuple

OUTSIDE = "outside"
"""A person or a program that is no service: the `tailrace` command, a notebook, an Airflow task."""

SERVICES: dict[str, str] = {
    "ingest": "Checks records against their contract and owns the lake and the features.",
    "trainer": "Decides on retraining, trains, judges, and keeps experiments and the registry.",
    "deployer": "Rolls a new version out step by step, or back.",
    "predictor": "Answers requests with the versions that the rollout names.",
    "drift-monitor": "Joins predictions with late labels and says how each arm does.",
}
"""Every service, by the name that it has everywhere, and what it is for."""

LOOPS: tuple[str, ...] = ("ingest", "trainer", "deployer", "predictor", "drift-monitor")
"""Services that read in a consumer group, and so have dead letters."""

STATES: tuple[str, ...] = ("trainer", "deployer", "drift-monitor")
"""Services that keep tables in a topic of their own."""


class Route(NamedTuple):
    """The ends of one event's way."""

    senders: tuple[str, ...]
    receivers: tuple[str, ...]


ROUTES: dict[str, Route] = {
    "record.received": Route(("ingest", OUTSIDE), ("ingest",)),
    "data.arrived": Route(("ingest",), ("trainer",)),
    "data.quarantined": Route(("ingest",), ()),
    "label.arrived": Route(("ingest",), ("drift-monitor",)),
    "retrain.requested": Route(("trainer", OUTSIDE), ("trainer",)),
    "retrain.decided": Route(("trainer",), ("trainer",)),
    "model.trained": Route(("trainer",), ("drift-monitor",)),
    "model.approved": Route(("trainer",), ("deployer", "trainer")),
    "model.rejected": Route(("trainer",), ("trainer",)),
    "training.failed": Route(("trainer",), ("trainer",)),
    "rollout.command": Route((OUTSIDE,), ("deployer",)),
    "rollout.step": Route(("deployer",), ("trainer", "predictor", "drift-monitor")),
    "score.requested": Route((OUTSIDE,), ("predictor",)),
    "prediction.logged": Route(("predictor",), ("drift-monitor",)),
    "arm.measured": Route(("drift-monitor",), ("deployer",)),
    # Sent by the monitor's `watch` process, read by its `windows`.
    "drift.suspected": Route(("drift-monitor",), ("drift-monitor",)),
    "drift.detected": Route(("drift-monitor",), ("trainer",)),
    "drift.cleared": Route(("drift-monitor",), ("trainer",)),
}
"""The ends of every event's way, by type; an event without receivers is for people and logs."""

REBUILT: dict[str, tuple[str, ...]] = {"deployer": ("rollout.step",)}
"""What a service has sent and reads again where its state is lost, to rebuild it."""
