"""What was measured, as a file; medians, and the bars that they are held against."""

import json
import platform
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.serving.load import CONNECTIONS, Sample, as_json
from bench.serving.servers import Server

from local.broker import kind

FILE = Path(__file__).parents[1] / "results" / "serving.json"
MEASURES = ("rps", "p50_ms", "p99_ms", "p999_ms", "cpu_us", "pss_mb")
AT = "32"
"""Connections at which servers are compared."""


class Results:
    """The samples of each server, and what follows from them."""

    def __init__(self, found: dict[str, Any] | None = None) -> None:
        """Go on with what a file holds, or begin."""
        self.data: dict[str, Any] = found or {"servers": {}, "failed": {}, "onnx_alone_rps": []}

    @classmethod
    def read(cls) -> "Results":
        """What the last run found; nothing where there was none."""
        return cls(json.loads(FILE.read_text())) if FILE.exists() else cls()

    def forget(self, keys: set[str]) -> None:
        """Drop servers that are measured again."""
        for key in keys:
            self.data["servers"].pop(key, None)
            self.data["failed"].pop(key, None)
        if "onnx-alone" in keys:
            self.data["onnx_alone_rps"] = []

    def add(self, server: Server, version: str, connections: int, sample: Sample) -> None:
        """Take a sample."""
        entry = self.data["servers"].setdefault(server.key, {"points": {}})
        entry |= {
            "name": server.name,
            "role": server.role,
            "version": version,
            "settings": server.settings,
            "taken": datetime.now(UTC).date().isoformat(),
        }
        point = entry["points"].setdefault(str(connections), {"samples": []})
        point["samples"].append(as_json(sample))

    def fail(self, server: Server, why: str) -> None:
        """Note a server that could not be measured."""
        self.data["failed"][server.key] = {"name": server.name, "why": why}

    def write(self, seconds: float) -> None:
        """Work out medians and bars, and write the file."""
        for entry in self.data["servers"].values():
            for point in entry["points"].values():
                samples = point["samples"]
                for name in MEASURES:
                    point[name] = round(statistics.median(s[name] for s in samples), 3)
                point["errors"] = sum(s["errors"] for s in samples)
        self.data |= {
            "python": platform.python_version(),
            "broker": kind(),
            "model": "HistGradientBoostingClassifier, 100 trees, 12 numbers",
            "seconds_a_point": seconds,
            **self._compared(),
        }
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(self.data, indent=1, ensure_ascii=False) + "\n")

    def _of(self, role: str) -> list[tuple[str, dict[str, Any]]]:
        return [
            (entry["name"], entry["points"][AT])
            for entry in self.data["servers"].values()
            if entry["role"] == role and AT in entry["points"]
        ]

    def _point(self, key: str, connections: str = AT) -> dict[str, Any] | None:
        return self.data["servers"].get(key, {}).get("points", {}).get(connections)

    def _compared(self) -> dict[str, Any]:
        """The ratios; null where a side of one was not measured."""
        full, bare, echo = self._point("full"), self._point("bare"), self._point("echo")
        unlogged = self._point("full-unlogged")
        lone_full, lone_bare = self._point("full", "1"), self._point("bare", "1")
        lone_echo, lone_stores = self._point("echo", "1"), self._point("echo-stores", "1")
        best = max(self._of("peer"), key=lambda each: each[1]["rps"], default=None)
        onnx = max(self._of("peer with ONNX"), key=lambda each: each[1]["rps"], default=None)

        def ratio(a: dict[str, Any] | None, b: dict[str, Any] | None, of: str) -> float | None:
            return None if a is None or b is None else round(a[of] / b[of], 3)

        peer = best and best[1]
        times = ratio(full, peer, "rps")
        with_onnx = ratio(full, onnx and onnx[1], "rps")
        bars = [
            ("full path / best peer, requests/s, c = 32", times, ">=", 6.0),
            ("full path / best peer, p99, c = 32", ratio(full, peer, "p99_ms"), "<", 0.1),
            ("full path / best peer given ONNX, requests/s, c = 32", with_onnx, ">=", 6.0),
            ("bare / echo, requests/s, c = 32", ratio(bare, echo, "rps"), ">=", 0.6),
            ("bare / echo, p50, c = 1", ratio(lone_bare, lone_echo, "p50_ms"), "<=", 1.5),
            (
                "full path / echo with stores, p50, c = 1",
                ratio(lone_full, lone_stores, "p50_ms"),
                "<=",
                1.5,
            ),
            ("full path / not logged, requests/s, c = 32", ratio(full, unlogged, "rps"), ">=", 0.9),
        ]
        return {
            "best_peer": best and best[0],
            "ratio_to_best_peer": times,
            "best_peer_with_onnx": onnx and onnx[0],
            "ratio_to_best_peer_with_onnx": with_onnx,
            "bars": [
                {
                    "bar": text,
                    "value": value,
                    "wanted": f"{sign} {bar:g}",
                    "met": _met(value, sign, bar),
                }
                for text, value, sign, bar in bars
            ],
            "connections": list(CONNECTIONS),
        }


def _met(value: float | None, sign: str, bar: float) -> bool | None:
    if value is None:
        return None
    return {">=": value >= bar, "<=": value <= bar, "<": value < bar}[sign]
