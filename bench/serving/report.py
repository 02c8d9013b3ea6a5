"""The table and the plot of `docs/performance.md`."""

import statistics
from pathlib import Path
from typing import Any

from bench import page

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "performance.md"
PLOT = DOCS / "images" / "serving.png"
BEGIN, END = "<!-- make bench-serving -->", "<!-- end of make bench-serving -->"
ROLES = ("ours", "peer", "peer with ONNX", "floor")
COLOURS = {"ours": "#1b6ca8", "peer": "#c9772b", "peer with ONNX": "#e3b98a", "floor": "#9a9a9a"}


def write(data: dict[str, Any]) -> None:
    """Put the table between its marks in the page, and the plot beside it."""
    page.fill(PAGE, BEGIN, END, _section(data))
    _plot(data)


def _in_order(data: dict[str, Any]) -> list[dict[str, Any]]:
    def place(entry: dict[str, Any]) -> tuple[int, float]:
        return ROLES.index(entry["role"]), -entry["points"].get("32", {"rps": 0})["rps"]

    return sorted(data["servers"].values(), key=place)


def _section(data: dict[str, Any]) -> str:
    lines = ["![Requests a second and latency at 32 connections](images/serving.png)", ""]
    for connections in map(str, data["connections"]):
        lines += [
            f"| c = {connections} | requests/s | p50 ms | p99 ms | p99.9 ms | CPU µs a request"
            " | memory MB | errors |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for entry in _in_order(data):
            point = entry["points"].get(connections)
            if point is None:
                continue
            lines.append(
                f"| {entry['name']} | {point['rps']:,.0f} | {point['p50_ms']:.2f}"
                f" | {point['p99_ms']:.2f} | {point['p999_ms']:.2f} | {point['cpu_us']:,.0f}"
                f" | {point['pss_mb']:,.0f} | {point['errors']} |"
            )
        lines.append("")
    if data["onnx_alone_rps"]:
        alone = statistics.median(data["onnx_alone_rps"])
        lines += [f"ONNX Runtime alone scores {alone:,.0f} single rows a second.", ""]
    lines += ["| bar | wanted | measured | met |", "|---|---|---|---|"]
    for bar in data["bars"]:
        value = "not measured" if bar["value"] is None else f"{bar['value']:.2f}"
        met = {True: "yes", False: "no", None: ""}[bar["met"]]
        lines.append(f"| {bar['bar']} | {bar['wanted']} | {value} | {met} |")
    lines += _log_cost(data)
    lines += ["", "| server | version | settings |", "|---|---|---|"]
    lines += [f"| {e['name']} | {e['version']} | {e['settings']} |" for e in _in_order(data)]
    for failed in data["failed"].values():
        lines += ["", f"{failed['name']} was not measured: {failed['why']}"]
    counts = [len(p["samples"]) for e in data["servers"].values() for p in e["points"].values()]
    lines += [
        "",
        f"Taken on {max((e['taken'] for e in data['servers'].values()), default='')}, Python"
        f" {data['python']}, two shared cores, the {data['broker']} broker; medians of"
        f" {min(counts, default=0)} rounds of {data['seconds_a_point']:g} seconds a point."
        " Memory is PSS of all processes of a server.",
    ]
    return "\n".join(lines)


def _log_cost(data: dict[str, Any]) -> list[str]:
    """What a record of the log takes, and what the client of Kafka alone takes of that."""

    def cpu_us(key: str) -> float:
        return data["servers"][key]["points"]["32"]["cpu_us"]

    try:
        answer, logged = cpu_us("full-unlogged"), cpu_us("full")
        client = cpu_us("echo-logged") - cpu_us("echo")
    except KeyError:
        return []
    return [
        "",
        f"At 32 connections a record of the log takes {logged - answer:.1f} µs of a core, beside an"
        f" answer of {answer:.1f}. Given to the client of Kafka by an echo, ready-made and not"
        f" spooled, it takes {client:.1f}.",
    ]


def _plot(data: dict[str, Any]) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    entries = [e for e in reversed(_in_order(data)) if "32" in e["points"]]
    names = [e["name"] for e in entries]
    colours = [COLOURS[e["role"]] for e in entries]
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(11, 0.42 * len(entries) + 1.4), sharey=True
    )
    rates = [e["points"]["32"]["rps"] for e in entries]
    for label, bar in zip(rates, left.barh(names, rates, color=colours), strict=True):
        left.annotate(f" {label:,.0f}", (bar.get_width(), bar.get_y() + 0.4), va="center", size=8)
    left.set_xlim(0, max(rates, default=1) * 1.15)
    left.set_title("requests/s, one core, 32 connections", size=10)
    for i, entry in enumerate(entries):
        point = entry["points"]["32"]
        right.plot([point["p50_ms"], point["p999_ms"]], [i, i], color=colours[i], lw=2)
        for name, marker in (("p50_ms", "o"), ("p99_ms", "s"), ("p999_ms", "|")):
            right.plot(point[name], i, marker, color=colours[i], ms=7)
    right.set_xscale("log")
    right.grid(axis="x", which="both", alpha=0.25)
    right.set_title("latency in ms: ● p50, ■ p99, | p99.9", size=10)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=9)
    figure.tight_layout()
    PLOT.parent.mkdir(exist_ok=True)
    figure.savefig(PLOT, dpi=110)
