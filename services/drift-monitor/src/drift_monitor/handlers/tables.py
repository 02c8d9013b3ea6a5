"""The state of the windows: tables that live in memory and in the state topic."""

import json
import struct
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from drift_monitor.domain.columns import cut
from drift_monitor.domain.join import Waiting
from drift_monitor.domain.plan import HOUR
from drift_monitor.domain.sequences import Sequences
from drift_monitor.domain.slices import Slice
from drift_monitor.domain.verdicts import Streak
from drift_monitor.domain.watermark import NOTHING_SEEN, Watermark
from drift_monitor.domain.windows import Window
from event_schemas.model import ModelVersion
from servicekit.table import Table

CHUNK_ROWS = 25
"""Rows of one record of the state topic: the last chunk is written again while it fills."""
CHUNK_BYTES = 200_000
"""Bytes from which on a chunk takes no more rows: Kafka takes a megabyte."""
MAX_ROW_BYTES = 500_000
"""Bytes of the largest row that is sampled."""


@dataclass(frozen=True, slots=True)
class EventClock:
    """Event time of one model."""

    watermark: Watermark = NOTHING_SEEN
    due: int | None = None
    """Watermark at which the next slice or window is due; None: none is open."""
    expired: int = 0
    """Hour up to which waiting predictions were let go."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Which version of a model serves, as the rollout's steps say."""

    version: str
    sequence: int
    """Of the step."""
    retired: tuple[str, ...] = ()
    """Versions that served before; their stragglers open no window."""


@lru_cache(maxsize=4096)
def key_of(*parts: str | int) -> str:
    """A table key; parts are quoted, so no two lists of parts share one."""
    return "/".join(quote(str(part), safe="") for part in parts)


def parts_of(key: str) -> list[str]:
    """The parts that a key was made of."""
    return [unquote(part) for part in key.split("/")]


_WAITING = struct.Struct("<qqqddq")


def _encode_waiting(waiting: Waiting) -> bytes:
    packed = _WAITING.pack(
        waiting.time,
        waiting.window,
        waiting.part,
        waiting.score,
        waiting.label if isinstance(waiting.label, float) else 0.0,
        waiting.labelled,
    )
    key = packed + waiting.slice.encode()
    text = None if isinstance(waiting.label, float) else waiting.label
    if text is None and waiting.task == "binary":
        return key
    return key + b"\n" + json.dumps([waiting.task, waiting.scores, text]).encode()


def _decode_waiting(data: bytes) -> Waiting:
    time, window, part, score, label, labelled = _WAITING.unpack_from(data)
    key, _, more = data[_WAITING.size :].decode().partition("\n")
    task, scores, text = json.loads(more) if more else ("binary", None, None)
    known = label if text is None else text
    return Waiting(time, key, window, part, score, known, labelled, task, scores)


class JoinTable(Table[Waiting]):
    """Predictions and labels that may still change a sum, by model and prediction id.

    A shadow has the prediction id of the answer whose row it scored, and a key of its own.

    It knows which fall in which hour, so letting them go costs what goes and not what stays. That
    index is no state: after a reload or a rollback it is made anew when it is next asked for.
    """

    def __init__(self) -> None:
        super().__init__("join", _encode_waiting, _decode_waiting)
        self._hours: dict[tuple[str, int], list[str]] = defaultdict(list)
        self._labels: dict[str, dict[str, None]] = defaultdict(dict)
        """Keys of labels without a prediction, by model, in the order in which they came."""
        self._stale = False

    @staticmethod
    def key(model: str, prediction_id: str) -> str:
        """The key of a prediction; a model's name has no slash."""
        return f"{model}/{prediction_id}"

    @staticmethod
    def shadow_key(model: str, prediction_id: str) -> str:
        """The key of what a challenger in shadow said; a model's name has no `~`."""
        return f"{model}~/{prediction_id}"

    def put(self, key: str, value: Waiting) -> None:
        """See `Table.put`."""
        before = self.get(key)
        hour = value.time // HOUR
        if before is None or before.time // HOUR != hour:
            self._hours[_model_of(key), hour].append(key)
        if not value.predicted:
            self._labels[_model_of(key)][key] = None
        elif before is not None and not before.predicted:
            self._labels[_model_of(key)].pop(key, None)
        super().put(key, value)

    def delete(self, key: str) -> None:
        """See `Table.delete`."""
        self._labels[_model_of(key)].pop(key, None)
        super().delete(key)

    def oldest_label(self, model: str, most: int) -> str | None:
        """The key of the label that has waited longest, where more than `most` wait."""
        if self._stale:
            self._index()
        waiting = self._labels[model]
        return next(iter(waiting)) if len(waiting) > most else None

    def expired(self, model: str, before: int) -> list[str]:
        """The keys of a model whose hour ended at or before `before`; each is told once."""
        if self._stale:
            self._index()
        last = before // HOUR
        over = sorted(hour for hour in self._hours if hour[0] == model and hour[1] < last)
        gone: dict[str, None] = {}
        for hour in over:
            for key in self._hours.pop(hour):
                waiting = self.get(key)
                if waiting is not None and waiting.time // HOUR < last:
                    gone[key] = None
        return list(gone)

    def rollback(self, mark: int = 0) -> None:
        """See `Table.rollback`."""
        self._stale = self._stale or len(self._journal) > mark
        super().rollback(mark)

    def load(self, key: str, value: bytes | None) -> None:
        """See `Table.load`."""
        self._stale = True
        super().load(key, value)

    def clear(self) -> None:
        """See `Table.clear`."""
        self._stale = True
        super().clear()

    def _index(self) -> None:
        self._hours.clear()
        self._labels.clear()
        for key, waiting in self.items():
            self._hours[_model_of(key), waiting.time // HOUR].append(key)
            if not waiting.predicted:
                self._labels[_model_of(key)][key] = None
        self._stale = False


def _model_of(key: str) -> str:
    return key.partition("/")[0].removesuffix("~")


class RowsTable(Table[tuple[bytes, ...]]):
    """Sampled rows of open windows, in chunks to which only the last is still added."""

    def __init__(self) -> None:
        super().__init__("rows", b"\n".join, lambda data: tuple(data.split(b"\n")))

    @staticmethod
    def row(hashed: int, features: dict[str, Any]) -> bytes:
        """One row: its hash, and its features as JSON on one line, categories as they compare."""
        compared = {k: cut(v) if isinstance(v, str) else v for k, v in features.items()}
        return b"%016x" % hashed + json.dumps(compared, separators=(",", ":")).encode()

    @staticmethod
    def hash_of(row: bytes) -> int:
        """The hash that a row begins with."""
        return int(row[:16], 16)

    @staticmethod
    def features_of(row: bytes) -> dict[str, Any]:
        """The features of a row."""
        return json.loads(row[16:])

    def add(self, window: str, part: int, chunks: int, row: bytes) -> int:
        """Keep a row; returns how many chunks there are now."""
        if chunks:
            last = key_of(window, part, chunks - 1)
            rows = self[last]
            if len(rows) < CHUNK_ROWS and sum(map(len, rows)) + len(row) <= CHUNK_BYTES:
                self.put(last, (*rows, row))
                return chunks
        self.put(key_of(window, part, chunks), (row,))
        return chunks + 1

    def of_window(self, window: str, part: int, chunks: int) -> list[bytes]:
        """All rows of a part of a window."""
        return [row for i in range(chunks) for row in self[key_of(window, part, i)]]

    def drop(self, window: str, part: int, chunks: int) -> None:
        """Forget the rows of a part of a window."""
        for i in range(chunks):
            self.delete(key_of(window, part, i))


class State:
    """Every table of the windows."""

    def __init__(self) -> None:
        self.clocks = Table.of("clocks", EventClock)
        self.serving = Table.of("force", Serving)  # the name in the state topic
        self.versions = Table.of("versions", ModelVersion)
        self.replicas = Table.of("replicas", Sequences)
        self.join = JoinTable()
        self.slices = Table.of("slices", Slice)
        self.windows = Table.of("windows", Window)
        self.rows = RowsTable()
        self.streaks = Table.of("streaks", Streak)

    @property
    def tables(self) -> list[Table[Any]]:
        """All of them, for the loop."""
        return [
            self.clocks,
            self.serving,
            self.versions,
            self.replicas,
            self.join,
            self.slices,
            self.windows,
            self.rows,
            self.streaks,
        ]
