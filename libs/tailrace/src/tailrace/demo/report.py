"""The report of a demo: what was counted, what happened, and whether the promises were kept."""

import math
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import event_schemas as events
from tailrace.demo.options import DemoOptions
from tailrace.demo.quality import Period, by_month, by_week, labelled, over
from tailrace.flights.journal import Journal
from tailrace.traffic.platform import Traffic

RETRAINING_EXPECTED_DAYS = 75
"""In a shorter replay the world may not have changed enough for a retraining."""


@dataclass(frozen=True)
class Totals:
    """What the replay did."""

    traffic: Traffic
    records_sent: dict[str, int]
    """By dataset."""
    seconds: float
    """Wall time of the replay, without history and start-up."""
    setup_seconds: float
    """Wall time from the command to the first prediction."""
    replayed_until: datetime
    """End of the run-out: predictions up to here were asked for."""
    sabotaged: tuple[str, ...]
    """Versions that were broken on purpose."""


def build(journal: Journal, options: DemoOptions, totals: Totals) -> dict[str, Any]:
    """The report as plain data, ready to be written as JSON."""
    p = journal.predictions
    data = labelled(p)
    rollouts = _rollouts(journal, totals.sabotaged)
    retrained = _first_retraining(rollouts)
    after = over(data, retrained or options.end, options.end)
    sent, joined = _labels(journal, options)
    report: dict[str, Any] = {
        "period": {
            "from": options.start.isoformat(),
            "to": options.end.isoformat(),
            "replayed_until": totals.replayed_until.isoformat(),
        },
        "seed": options.seed,
        "speed_limit_days_per_second": options.speed,
        "setup_seconds": round(totals.setup_seconds, 1),
        "replay_seconds": round(totals.seconds, 1),
        "predictions_requested": totals.traffic.requested,
        "predictions_logged": p.read - _repeated(journal),
        "distinct_prediction_ids": p.distinct,
        "repeated_prediction_events": _repeated(journal),
        "predictions_failed": p.failed,
        "requests_per_second": round(totals.traffic.answered / max(totals.seconds, 1e-9), 1),
        "http_errors": totals.traffic.http_errors,
        "http_retries": totals.traffic.retries,
        "labels_sent": sent,
        "labels_joined": joined,
        "labels_joined_share": joined / sent if sent else None,
        "records_sent": totals.records_sent,
        "lake_rows": dict(journal.lake_rows),
        "quarantined_rows": dict(journal.quarantined),
        "dead_letters": list(journal.dead),
        "sabotaged_versions": list(totals.sabotaged),
        "rollouts": rollouts,
        "versions": _versions(journal),
        "retraining": _retraining(journal),
        "drift": _drift(journal),
        "months": [_period(m) for m in by_month(data, options.start, options.end)],
        "weeks": [_period(w) for w in by_week(data, options.start, options.end)],
        "whole": _period(over(data, options.start, options.end)),
        "after_first_retraining": _period(after) if retrained else None,
    }
    report["checks"] = _checks(report)
    return report


def _checks(report: dict[str, Any]) -> dict[str, bool]:
    """The promises; each is True when it was kept."""
    after = report["after_first_retraining"]
    retrained = [r for r in report["rollouts"] if r["outcome"] == "promoted" and r["challenger"]]
    stopped = [r for r in report["rollouts"] if r["outcome"] in {"rolled_back", "aborted"}]
    rejected = [v for v in report["versions"].values() if v["verdict"] == "rejected"]
    checks = {
        "every prediction was logged exactly once": report["predictions_requested"]
        == report["predictions_logged"]
        == report["distinct_prediction_ids"],
        "no request failed": report["http_errors"] == 0 and report["predictions_failed"] == 0,
        "every label was joined": report["labels_sent"] == report["labels_joined"],
        "every record is in the lake once, or in quarantine": report["records_sent"]
        == dict(Counter(report["lake_rows"]) + Counter(report["quarantined_rows"])),
        "nothing lies in the dead letters": not report["dead_letters"],
    }
    if _days(report) >= RETRAINING_EXPECTED_DAYS:
        checks["a retraining reached 100 %"] = bool(retrained)
        checks["the platform is better than static v1 after the first retraining"] = bool(
            after and after["platform"]["log_loss"] < after["static"]["log_loss"]
        )
    if report["sabotaged_versions"]:
        checks["the sabotaged version was stopped"] = bool(stopped or rejected) and all(
            any(v == r["challenger"] for r in stopped) for v in report["sabotaged_versions"]
        )
    return checks


def _days(report: dict[str, Any]) -> float:
    period = report["period"]
    length = datetime.fromisoformat(period["to"]) - datetime.fromisoformat(period["from"])
    return length / timedelta(days=1)


def _repeated(journal: Journal) -> int:
    """Events that were read more than once under one id: a retried request logs again."""
    return journal.predictions.read - journal.predictions.distinct


def _labels(journal: Journal, options: DemoOptions) -> tuple[int, int]:
    """Labels sent and joined, of the predictions of [from, to)."""
    p = journal.predictions
    start, end = options.start.timestamp(), options.end.timestamp()
    sent = sum(
        1
        for prediction_id in p.truth
        if (row := p.index.get(prediction_id)) is None or start <= p.seconds[row] < end
    )
    first, last = f"{options.start:%Y-%m-%d}", f"{options.end:%Y-%m-%d}"
    joined = sum(n for day, n in journal.labels_joined.items() if first <= day < last)
    return sent, joined


def _first_retraining(rollouts: list[dict[str, Any]]) -> datetime | None:
    """Event time at which the first challenger was at 100 %."""
    for rollout in rollouts:
        for step in rollout["steps"]:
            if step["weight"] == 1 and step["event_time"]:
                return datetime.fromisoformat(step["event_time"])
    return None


def _rollouts(journal: Journal, sabotaged: tuple[str, ...]) -> list[dict[str, Any]]:
    rollouts: dict[str, dict[str, Any]] = {}
    for step in journal.latest_steps():
        rollout = rollouts.setdefault(
            step.rollout_id,
            {
                "rollout_id": step.rollout_id,
                "champion": step.champion.version,
                "challenger": step.challenger.version if step.challenger else None,
                "sabotaged": bool(step.challenger and step.challenger.version in sabotaged),
                "steps": [],
            },
        )
        rollout["outcome"] = step.outcome
        rollout["steps"].append(
            {
                "sequence": step.sequence,
                "phase": step.phase,
                "weight": step.weight,
                "outcome": step.outcome,
                "reason": step.reason,
                "event_time": step.event_time.isoformat() if step.event_time else None,
                "verdict": step.verdict.model_dump(mode="json") if step.verdict else None,
            }
        )
    return list(rollouts.values())


def _versions(journal: Journal) -> dict[str, dict[str, Any]]:
    versions: dict[str, dict[str, Any]] = {}
    for event in journal.turns:
        body = event.body
        if isinstance(body, events.ModelTrained):
            versions[body.version.version] = {
                "trained_at": body.version.trained_at.isoformat(),
                "run_id": body.version.run_id,
                "sha256": body.version.artifact.sha256,
                "data": [d.model_dump(mode="json") for d in body.data],
                "metrics": {m.name: m.value for m in body.metrics},
                "parity": _finite(body.parity),
                "verdict": "none",
            }
        elif isinstance(body, events.ModelApproved | events.ModelRejected):
            version = versions.setdefault(body.version.version, {})
            approved = isinstance(body, events.ModelApproved)
            version["verdict"] = "approved" if approved else "rejected"
            version["by"] = body.approved_by if approved else body.rejected_by
            version["gates"] = [g.model_dump(mode="json") for g in body.gates]
    return versions


def _retraining(journal: Journal) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for event in journal.turns:
        body = event.body
        if isinstance(body, events.RetrainRequested):
            rows[event.id] = {
                "request_id": event.id,
                "cause": body.cause,
                "by": body.requested_by,
                "event_time": body.event_time.isoformat(),
                "decisions": [],
            }
        elif isinstance(body, events.RetrainDecided) and body.request_id in rows:
            rows[body.request_id]["decisions"].append(
                {"decision": body.decision, "reason": body.reason}
            )
        elif isinstance(body, events.TrainingFailed) and body.request_id in rows:
            rows[body.request_id]["failed"] = {"stage": body.stage, "error": body.error}
    return list(rows.values())


def _drift(journal: Journal) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for event in journal.turns:
        body = event.body
        if isinstance(body, events.DriftSuspected):
            kind, at, reason = body.detector, body.since, f"{body.detector} = {body.value:.4g}"
        elif isinstance(body, events.DriftDetected | events.DriftCleared):
            kind, at, reason = body.kind, body.window.end, body.reason
        else:
            continue
        rows.append(
            {
                "event": body.type,
                "version": body.version,
                "kind": kind,
                "event_time": at.isoformat(),
                "reason": reason,
            }
        )
    return rows


def _period(period: Period) -> dict[str, Any]:
    row = asdict(period)
    row["start"], row["end"] = period.start.isoformat(), period.end.isoformat()
    return _finite(row)


def _finite(value: Any) -> Any:
    """NaN becomes None, since JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
