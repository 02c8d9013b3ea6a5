"""The plot and the paragraph of `docs/performance.md`."""

import math
from pathlib import Path
from typing import Any

from bench import page

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "performance.md"
PLOT = DOCS / "images" / "overload.png"
BEGIN, END = "<!-- make bench-overload -->", "<!-- end of make bench-overload -->"


def write(data: dict[str, Any]) -> None:
    """Put the figures between their marks in the page, and the plot beside it."""
    page.fill(PAGE, BEGIN, END, _section(data))
    _plot(data)


def _section(data: dict[str, Any]) -> str:
    lines = [
        "![Answers and refusals a second, latency and memory](images/overload.png)",
        "",
        f"| {data['seconds']:g} s of {data['times']:g} × capacity | " + " | ".join(data["runs"]),
        "|---" * (len(data["runs"]) + 1) + "|",
    ]
    lines[2] += " |"
    rows = {
        "capacity, requests/s": ("capacity", "{:,.0f}"),
        "offered, requests/s": ("offered", "{:,.0f}"),
        "never sent: all connections waited, a second": ("unsent", "{:,.0f}"),
        "answered 200, a second": ("goodput", "{:,.0f}"),
        "answered 429 or 503, a second": ("refused", "{:,.0f}"),
        "anything else": ("others", "{:,}"),
        "goodput / capacity": ("goodput_ratio", "{:.2f}"),
        "p50, p99 of those answered, ms": ("latency_ms", "{0[p50]:.0f}, {0[p99]:.0f}"),
        "memory after a sixth of it, at its end, MB": ("memory_mb", "{0[early]:.0f}, {0[end]:.0f}"),
        "slowest of its pages, ms": ("slowest_page_ms", "{:.0f}"),
        "seconds until all are answered as before": ("recovery_seconds", "{:.2f}"),
    }
    for name, (key, form) in rows.items():
        values = [run[key] for run in data["runs"].values()]
        shown = ["never" if value is None else form.format(value) for value in values]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    lines += ["", "| bar | wanted | measured | met |", "|---|---|---|---|"]
    for bar in data["bars"]:
        met = "yes" if bar["met"] else "no"
        lines.append(f"| {bar['bar']} | {bar['wanted']} | {bar['value']:.3g} | {met} |")
    lines += [
        "",
        f"Taken on {data['taken']}, Python {data['python']}, two shared cores,"
        f" the {data['broker']} broker, {data['connections']:,} connections; {data['settings']}.",
    ]
    return "\n".join(lines)


def _plot(data: dict[str, Any]) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, rows = pyplot.subplots(3, 1, figsize=(10, 8), sharex=True)
    styles = dict(zip(data["runs"], ("-", ":"), strict=False))
    for name, run in data["runs"].items():
        series, style = run["series"], styles[name]
        at = [point["at"] for point in series]
        rows[0].plot(at, [p["ok"] for p in series], style, c="#1b6ca8", label=f"200, {name}")
        rows[0].plot(
            at, [p["refused"] for p in series], style, c="#c9772b", label=f"429 or 503, {name}"
        )
        rows[1].plot(
            at, [p["p50_ms"] or math.nan for p in series], style, c="#1b6ca8", label=f"p50, {name}"
        )
        rows[1].plot(
            at, [p["p99_ms"] or math.nan for p in series], style, c="#7a3b8f", label=f"p99, {name}"
        )
        memory = run["memory_series"]
        rows[2].plot([m[0] for m in memory], [m[1] for m in memory], style, c="#444444", label=name)
        rows[0].axvspan(run["began"], run["ended"], color="#000000", alpha=0.04)
    first = next(iter(data["runs"].values()))
    rows[0].axhline(first["capacity"], c="#9a9a9a", lw=1, ls="--", label="capacity")
    rows[0].set_title(f"answers a second; {data['times']:g} × capacity is offered in grey", size=10)
    rows[1].set_title("latency of those answered 200, ms", size=10)
    rows[1].set_yscale("log")
    rows[2].set_title("resident memory, MB", size=10)
    most = max(m[1] for run in data["runs"].values() for m in run["memory_series"])
    rows[2].set_ylim(0, most * 1.2)
    rows[2].set_xlabel("seconds")
    for axes in rows:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.tight_layout()
    PLOT.parent.mkdir(exist_ok=True)
    figure.savefig(PLOT, dpi=110)
