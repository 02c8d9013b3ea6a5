"""The metrics of `watch`."""

from contextlib import suppress

from prometheus_client import Counter, Gauge

_ARM = ["model", "version", "arm"]

RATE = Gauge("watch_predictions_per_second", "Predictions a second, by arm.", _ARM)
MEAN_SCORE = Gauge("watch_mean_score", "Mean of the newest scores, by arm.", _ARM)
LAG = Gauge("watch_lag", "Predictions that wait to be looked at.")
SAMPLING_RATE = Gauge("watch_sampling_rate", "Share of the predictions that is looked at.")
SAMPLING_RATE.set(1.0)
SKIPPED = Counter("watch_skipped_total", "Predictions passed over while lagging.")
UNREADABLE = Counter("watch_unreadable_total", "Messages that are no prediction.", ["error"])
SUSPICIONS = Counter("watch_suspicions_total", "Changes that were suspected.", ["model"])
RESTARTS = Counter("watch_restarts_total", "Times that the stream was started again.")


def forget(model: str, version: str, arm: str) -> None:
    """Remove the series of an arm."""
    for gauge in (RATE, MEAN_SCORE):
        with suppress(KeyError):
            gauge.remove(model, version, arm)
