"""Wires `drift-monitor windows`; importing this page does nothing."""

from datetime import timedelta
from typing import Any

from drift_monitor.handlers import WindowsHandlers
from drift_monitor.ports import DriftReports, References
from drift_monitor.settings import WindowsSettings
from servicekit.bus import Bus
from servicekit.component import Component
from servicekit.loops.transactional import TransactionalLoop


class WindowsLoop(TransactionalLoop):
    """The loop, after what is slow to import was imported; before that it is not ready."""

    def __init__(
        self, handlers: WindowsHandlers, bus: Bus, warm: tuple[References, DriftReports], **how: Any
    ) -> None:
        super().__init__(handlers.processor, bus, **how)
        self._cold = list(warm)

    def open(self) -> None:
        """See `TransactionalLoop.open`."""
        while self._cold:
            self._cold[-1].warm_up()
            self._cold.pop()
        super().open()


def build(
    settings: WindowsSettings,
    bus: Bus,
    *,
    reports: DriftReports | None = None,
    references: References | None = None,
) -> list[Component]:
    """The components of the process."""
    if references is None:
        from drift_monitor.adapters.mlflow_references import MlflowReferences

        references = MlflowReferences(settings.mlflow_tracking_uri, settings.artifact_limits)
    if reports is None:
        from drift_monitor.adapters.evidently_reports import EvidentlyReports

        reports = EvidentlyReports(settings.report_dir)
    handlers = WindowsHandlers(
        references,
        reports,
        max_jump=settings.max_event_time_jump,
        jump_votes=settings.jump_votes,
        back_votes=settings.back_votes,
        max_waiting_labels=settings.max_waiting_labels,
        max_label_future=timedelta(seconds=settings.max_label_future_seconds),
        remind_windows=settings.remind_windows,
    )
    loop = WindowsLoop(
        handlers,
        bus,
        (references, reports),
        slot=settings.replica_slot,
        max_batch=settings.max_batch,
    )
    return [loop]
