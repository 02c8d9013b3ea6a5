"""What a replay came to: counts that have to agree, and how well each version did."""

from datetime import datetime
from pathlib import Path
from typing import Any

from event_schemas import DriftDetected
from tailrace.cases.play import Play


def build(play: Play) -> dict[str, Any]:
    """The report of a replay that is over."""
    models = {model: _of_model(play, model) for model in sorted(play.asked)}
    return {
        "models": models,
        "dead_letters": play.story.dead,
        "checks": {
            "every prediction was logged": all(
                m["predictions_logged"] == m["predictions_asked"] for m in models.values()
            ),
            "nothing lies in the dead letters": not play.story.dead,
            "each model was replaced": all(m["replaced"] for m in models.values()),
        },
    }


def _of_model(play: Play, model: str) -> dict[str, Any]:
    story = play.story
    arms = [arm for arm in story.arms(model) if arm.loss.n]
    versions: dict[str, list[float]] = {}
    for arm in arms:
        total = versions.setdefault(arm.version, [0, 0.0])
        total[0] += arm.loss.n
        total[1] += arm.loss.total
    steps = story.steps(model)
    return {
        "task": steps[0].champion.task,
        "loss": steps[0].champion.loss.name,
        "predictions_asked": play.asked[model],
        "predictions_logged": len(story.answered[model]),
        "labels_sent": play.labels[model],
        "labels_joined": story.labels_joined(model),
        "replaced": story.replaced(model),
        "rollouts": [
            {
                "champion": step.champion.version,
                "challenger": step.challenger and step.challenger.version,
                "weight": step.weight,
                "outcome": step.outcome,
                "reason": step.reason,
            }
            for step in steps
        ],
        "drift": [
            {"kind": body.kind, "version": body.version, "reason": body.reason}
            for event in story.turns
            if isinstance(body := event.body, DriftDetected) and body.model == model
        ],
        "mean_loss_by_version": {v: total / n for v, (n, total) in versions.items()},
        "days": [
            {
                "day": f"{arm.window.start:%Y-%m-%d}",
                "version": arm.version,
                "arm": arm.arm,
                "n": arm.loss.n,
                "mean_loss": arm.loss.total / arm.loss.n,
            }
            for arm in arms
        ],
    }


def write_plot(report: dict[str, Any], path: Path) -> None:
    """Draw the mean loss of each day by version, a panel a model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    models = report["models"]
    figure, axes = plt.subplots(
        len(models), 1, figsize=(10, 3.2 * len(models)), squeeze=False, layout="constrained"
    )
    for axis, (name, model) in zip(axes[:, 0], models.items(), strict=True):
        for version in sorted(model["mean_loss_by_version"], key=int):
            days = [day for day in model["days"] if day["version"] == version]
            moments = [datetime.fromisoformat(day["day"]) for day in days]
            losses = [day["mean_loss"] for day in days]
            axis.plot(moments, losses, ".-", label=f"version {version}")
        axis.set_title(f"{name} ({model['task']})")
        axis.set_ylabel(f"mean {model['loss']} of a day".replace("_", " "))
        axis.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)
