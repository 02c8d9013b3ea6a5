"""Realised log-loss by week, the platform beside the model that was never retrained."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

TITLE = "Late flights out of New York, 2013: the loop against a model left alone"
Y_TITLE = "realised log-loss, a week each (nats; lower is better)"
SERIES = (("static", "#c8553d", "v1, never retrained"), ("platform", "#1f6f8b", "the platform"))
MARKS = {
    "promoted": ("#2e8b57", "challenger at 100 %", "-"),
    "rolled_back": ("#b3261e", "rolled back", "-"),
    "drift.detected": ("#8a6d1d", "drift detected", ":"),
}
"""Colour, name and line of what is marked, by its kind."""


def _marks(report: dict[str, Any]) -> list[tuple[datetime, str]]:
    marks = [
        (datetime.fromisoformat(d["event_time"]), d["event"])
        for d in report["drift"]
        if d["event"] == "drift.detected"
    ]
    for rollout in report["rollouts"]:
        for step in rollout["steps"]:
            if not step["event_time"]:
                continue
            at = datetime.fromisoformat(step["event_time"])
            if step["weight"] == 1 and step["phase"] == "probation":
                marks.append((at, "promoted"))
            elif step["outcome"] in {"rolled_back", "aborted"}:
                marks.append((at, "rolled_back"))
    return sorted(marks)


def _series(report: dict[str, Any], who: str) -> tuple[list[datetime], list[float]]:
    weeks = [w for w in report["weeks"] if w[who]["log_loss"] is not None]
    middle = timedelta(days=3.5)
    return (
        [datetime.fromisoformat(w["start"]) + middle for w in weeks],
        [w[who]["log_loss"] for w in weeks],
    )


def write_png(report: dict[str, Any], path: Path) -> None:
    """Draw the plot for a document."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.dates import date2num

    figure, axes = plt.subplots(figsize=(11, 5), constrained_layout=True)
    for at, kind in _marks(report):
        colour, _, line = MARKS[kind]
        axes.axvline(float(date2num(at)), color=colour, linewidth=1, alpha=0.6, linestyle=line)
    for who, colour, name in SERIES:
        weeks, losses = _series(report, who)
        axes.plot(date2num(weeks), losses, color=colour, marker="o", markersize=3, label=name)
    for colour, name, line in MARKS.values():
        axes.plot([], [], color=colour, linestyle=line, label=name)
    axes.set_ylabel(Y_TITLE)
    axes.set_title(TITLE)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=2, loc="upper left")
    axes.xaxis_date()
    figure.autofmt_xdate()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def write_html(report: dict[str, Any], path: Path) -> None:
    """Draw the plot to be looked at in a browser, with the reasons under the pointer."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for who, colour, name in SERIES:
        x, y = _series(report, who)
        figure.add_scatter(x=x, y=y, name=name, mode="lines+markers", line_color=colour)
    heights = [y for w in report["weeks"] if (y := w["static"]["log_loss"]) is not None]
    top = max(heights, default=1.0)
    for kind, (colour, name, _) in MARKS.items():
        marks = [at for at, k in _marks(report) if k == kind]
        for at in marks:
            figure.add_vline(x=at, line_color=colour, line_width=1, opacity=0.5)
        figure.add_scatter(
            x=marks,
            y=[top * 1.03] * len(marks),
            mode="markers",
            marker={"color": colour, "symbol": "triangle-down", "size": 10},
            name=name,
            text=[_why(report, at, kind) for at in marks],
            hovertemplate="%{x|%d %b}<br>%{text}<extra></extra>",
        )
    figure.update_layout(
        title=TITLE,
        yaxis_title=Y_TITLE,
        template="plotly_white",
        legend={"orientation": "h", "y": -0.15},
    )
    # The page carries its own script: it opens without a network.
    figure.write_html(path, include_plotlyjs=True)


def _why(report: dict[str, Any], at: datetime, kind: str) -> str:
    if kind == "drift.detected":
        rows = report["drift"]
    else:
        rows = [s for r in report["rollouts"] for s in r["steps"] if s["event_time"]]
    texts = [r["reason"] for r in rows if datetime.fromisoformat(r["event_time"]) == at]
    return "<br>".join(texts)
