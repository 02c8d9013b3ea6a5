"""The tables and the plot of `docs/capacity.md`."""

from pathlib import Path
from typing import Any

from bench import page
from bench.capacity.costs import COPIES, UTILISATION, Phase, ceiling, gigabytes, need

from event_schemas.topics import RETENTION, Kind

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "capacity.md"
PLOT = DOCS / "images" / "capacity.png"
BEGIN, END = "<!-- make bench-capacity -->", "<!-- end of make bench-capacity -->"
KEPT_DAYS = RETENTION[Kind.VOLUME].days
LOADS = {
    "prediction": ("1,000 predictions/s", 1000.0),
    "label": ("a million labels a day", 1e6 / 86_400),
    "record": ("a million records a day", 1e6 / 86_400),
}
"""What each kind of work is planned by, a second."""
ALONE = ("drift-windows",)
"""What cannot be split over replicas: docs/adr/0004."""
COLOURS = ("#1b6ca8", "#c9772b", "#5b8c5a", "#8d6a9f", "#b0a13f", "#9a9a9a", "#333333")


def write(data: dict[str, Any]) -> None:
    """Put the tables between their marks in the page, and the plot beside it."""
    page.fill(PAGE, BEGIN, END, section(data))
    _plot(data)


def phases(data: dict[str, Any]) -> dict[str, Phase]:
    """What was measured, by the kind of work; the brokers' processes are one part."""
    found = {}
    for kind, measured in data["phases"].items():
        cpu: dict[str, float] = {}
        for part, seconds in measured["cpu_seconds"].items():
            name = "kafka" if part.startswith("kafka") else part
            cpu[name] = cpu.get(name, 0.0) + seconds
        found[kind] = Phase(**measured | {"cpu_seconds": cpu})
    return found


def section(data: dict[str, Any]) -> str:
    """All that stands between the marks."""
    measured = phases(data)
    parts = [p for p in data["idle_cores"] if not p.startswith("kafka")] + ["kafka"]
    lines = ["![CPU time of one prediction, label and record, by part](images/capacity.png)", ""]
    lines += _needs(measured) + _disk(measured) + _costs(measured, parts) + _fixed(data, parts)
    training, begun = data["training"], measured["prediction"]
    rest = max(0.0, data["memory_mb"]["drift-windows"]["predictions"]) - max(
        0.0, data["memory_mb"]["drift-windows"]["begin"]
    )
    lines += [
        f"The first training ({training['rows']:,.0f} rows) took {training['cpu_seconds']:.1f} CPU"
        f" seconds of the trainer, and {training['seconds']:.1f} s until its rollout began.",
    ]
    if data["waiting"]:
        lines[-1] += (
            f" With {data['waiting']:,.0f} predictions waiting for their labels, drift-windows had"
            f" grown by {rest:.0f} MB: about {rest / data['waiting'] * 1e6 / 1e3:.1f} kB each."
        )
    nodes = "one node" if data["nodes"] == 1 else f"{data['nodes']} nodes"
    lines += [
        "",
        f"Taken on {data['taken']}: Python {data['python']}, {data['cores']} shared cores, Apache"
        f" Kafka of {nodes}, `flight_delay` (six of twelve features stored);"
        f" {begun.count:,} predictions at {begun.count / begun.seconds:,.0f}/s,"
        f" {measured['label'].count:,} labels and {measured['record'].count:,} records in requests"
        " of 500.",
    ]
    return "\n".join(lines)


def _needs(measured: dict[str, Phase]) -> list[str]:
    lines = [
        "| for | part | cores | replicas | one replica takes at most |",
        "|---|---|---|---|---|",
    ]
    for kind, (load, a_second) in LOADS.items():
        for part in measured[kind].cpu_seconds:
            if measured[kind].microseconds(part) < 1:
                continue
            asked = need(measured[kind], part, a_second)
            most = f"{ceiling(measured[kind], part):,.0f} {kind}s/s"
            if part in ALONE:
                most += ", and there is only one"
            replicas = "" if part in ("kafka", "valkey") else str(asked.replicas)
            if part in ALONE and asked.replicas > 1:
                replicas = "**too much for one**"
            cores = f"{asked.cores:.2f}" if asked.cores >= 0.01 else "under 0.01"
            lines.append(f"| {load} | {part} | {cores} | {replicas} | {most} |")
    return [*lines, ""]


def _disk(measured: dict[str, Phase]) -> list[str]:
    lines = [
        f"| for | topic | bytes each | GB a day | GB kept ({KEPT_DAYS} days, {COPIES} copies) |",
        "|---|---|---|---|---|",
    ]
    for kind, (load, a_second) in LOADS.items():
        for topic in sorted(measured[kind].topics):
            each = measured[kind].bytes_each(topic)
            if each < 1:
                continue
            day = gigabytes(measured[kind], topic, a_second, 1, copies=1)
            kept = f"{gigabytes(measured[kind], topic, a_second, KEPT_DAYS):,.1f}"
            if topic.endswith(".state"):
                kept = "compacted"
            lines.append(f"| {load} | `{topic}` | {each:,.0f} | {day:,.2f} | {kept} |")
    return [*lines, ""]


def _costs(measured: dict[str, Phase], parts: list[str]) -> list[str]:
    lines = ["| CPU µs | " + " | ".join(f"a {kind}" for kind in LOADS) + " |", "|---|---|---|---|"]
    for part in parts:
        cells = [
            f"{measured[kind].microseconds(part):,.0f}"
            if part in measured[kind].cpu_seconds
            else ""
            for kind in LOADS
        ]
        if any(cells):
            lines.append(f"| {part} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _fixed(data: dict[str, Any], parts: list[str]) -> list[str]:
    lines = [
        "| part | cores with nothing to do | MB at first | MB at the end |",
        "|---|---|---|---|",
    ]
    for part in parts:
        names = [
            n
            for n in data["idle_cores"]
            if n == part or (n.startswith(f"{part}-") and part == "kafka")
        ]
        idle = sum(data["idle_cores"][name] for name in names)
        begin = sum(data["memory_mb"][name]["begin"] for name in names)
        end = sum(data["memory_mb"][name]["end"] for name in names)
        lines.append(f"| {part} | {idle:.3f} | {begin:,.0f} | {end:,.0f} |")
    return [*lines, ""]


def _plot(data: dict[str, Any]) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    measured = phases(data)
    parts = list(dict.fromkeys(p for phase in measured.values() for p in phase.cpu_seconds))
    figure, axes = pyplot.subplots(figsize=(9, 2.6))
    for row, kind in enumerate(reversed(LOADS)):
        left = 0.0
        for part in parts:
            if part not in measured[kind].cpu_seconds:
                continue
            width = measured[kind].microseconds(part)
            colour = COLOURS[parts.index(part) % len(COLOURS)]
            # A name once is enough for the legend.
            known = part in axes.get_legend_handles_labels()[1]
            axes.barh(row, width, left=left, color=colour, label=None if known else part)
            if width > 25:
                axes.annotate(
                    f"{width:,.0f}",
                    (left + width / 2, row),
                    ha="center",
                    va="center",
                    size=7,
                    color="white",
                )
            left += width
    axes.set_yticks(range(len(LOADS)), [f"a {kind}" for kind in reversed(LOADS)])
    axes.set_xlabel(
        f"CPU µs (a core planned to {UTILISATION:.0%} has {UTILISATION * 1e6:,.0f} a second)"
    )
    axes.legend(
        ncols=len(parts), fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), frameon=False
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    PLOT.parent.mkdir(exist_ok=True)
    figure.savefig(PLOT, dpi=110)
