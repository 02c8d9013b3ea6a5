"""Records into the lake: checked, each once, and the feature store after it.

For each dataset of a batch, in this order: rows that break the contract into quarantine, the others
into the table, their features into the online store, and then the events. Every step can be
repeated: after a crash or an outage the same messages come again, and each step skips what is done.
The commit holds its events as a note, so they can be published again.
"""

import json
import logging
from collections import Counter as Counts
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from event_schemas import BY_TYPE, DataArrived, DataQuarantined, RecordReceived
from event_schemas.data import ColumnProfile, QuarantineReason
from ingest.domain.bounded import bounded
from ingest.domain.contract import Contract, Fault
from ingest.domain.once import Once, RecentIds, last_positions
from ingest.domain.profile import profile
from ingest.domain.row import Origin, Row
from ingest.metrics import COMMIT_SECONDS, LEFT_OUT, NEWEST, NOT_ONLINE, PUSH_SECONDS, ROWS
from ingest.ports import UNKNOWN, Commit, Lake, LakeTable, OnlineStore
from servicekit.clock import Clock, SystemClock
from servicekit.event import Event, derived_id
from servicekit.loops.sink import Received

SOURCE = "/tailrace/ingest"
KEPT_COMMITS = 256
"""Commits whose events are kept in memory, in case that a batch comes again."""

log = logging.getLogger(__name__)


class ExactTable:
    """A table that takes each row once, and finds the commits that hold a repeated one."""

    def __init__(self, table: LakeTable, recent_ids: int, *, by_position: bool) -> None:
        self.uri = table.uri
        self._table = table
        self._limit = recent_ids
        self._by_position = by_position
        self._once: Once | None = None
        self._commits: list[Commit] = []

    def open(self) -> Sequence[Commit]:
        """Read what the table holds; returns its newest commits, oldest first."""
        if self._once is None:
            self._commits = list(self._table.recent_commits())
            recent = RecentIds(self._limit, self._table.recent_ids(self._limit))
            self._once = Once(self._table.position, recent, by_position=self._by_position)
        return self._commits

    def forget(self) -> None:
        """Read anew what the table holds, as others may have written to it."""
        self._once = None

    def split(self, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """The rows that are new to the table, and those that it holds."""
        self.open()
        assert self._once is not None  # noqa: S101 - open() made it
        return self._once.split(rows)

    def commits_of(self, rows: Sequence[Row]) -> list[Commit]:
        """The recent commits that took in some of these rows' messages, or later ones."""
        first: dict[int, int] = {}
        for row in rows:
            partition, offset = row.origin.partition, row.origin.offset
            first[partition] = min(offset, first.get(partition, offset))
        return [
            commit
            for commit in self._commits
            if any(
                p in commit.positions and offset <= commit.positions[p].offset
                for p, offset in first.items()
            )
        ]

    def append(self, rows: Sequence[Row], note: str, at: datetime) -> Commit:
        """Commit new rows with their note and their positions."""
        assert self._once is not None  # noqa: S101 - split() comes first
        positions = last_positions(rows, int(at.timestamp() * 1000))
        try:
            commit = self._table.append(rows, note, positions, self._once.known(positions))
        except BaseException:
            # The commit may have succeeded all the same: the table itself knows.
            self._once = None
            raise
        self._once.took(rows, positions)
        self._commits = [*self._commits, commit][-KEPT_COMMITS:]
        return commit


@dataclass
class _Share:
    """What a batch holds of one dataset."""

    good: list[Row] = field(default_factory=list)
    bad: list[Row] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    """By event id."""


class RecordSink:
    """Writes batches of `record.received`; see `servicekit.loops.sink.Sink`."""

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        lake: Lake,
        online: OnlineStore | None,
        *,
        recent_ids: int = 200_000,
        max_future: timedelta = timedelta(days=1),
        max_online_future: timedelta = timedelta(minutes=5),
        max_entries: int = 200,
        clock: Clock | None = None,
    ) -> None:
        self._contracts = contracts
        self._online = online
        self._max_future = max_future
        self._max_online_future = max_online_future
        self._max_entries = max_entries
        self._clock = clock or SystemClock()
        self._lake = lake
        self._recent_ids = recent_ids
        self._known: dict[str, Contract] = {}
        """The contracts of the batch, and of all before it."""
        self._tables: dict[str, ExactTable] = {}
        self._quarantines: dict[str, ExactTable] = {UNKNOWN: self._quarantine_of(UNKNOWN)}
        self._follow(dict(contracts.items()))

    def _follow(self, contracts: Mapping[str, Contract]) -> None:
        """Open tables anew whose contract is new, or has other columns than it had."""
        for name, contract in contracts.items():
            if self._known.get(name) == contract:
                continue
            self._known[name] = contract
            table = self._lake.data(contract)
            self._tables[name] = ExactTable(table, self._recent_ids, by_position=True)
            if name not in self._quarantines:
                self._quarantines[name] = self._quarantine_of(name)

    def _quarantine_of(self, name: str) -> ExactTable:
        # Whether a row is bad may change with its contract or with time, so that a position says
        # nothing about it; such rows are few, and the ids of the newest reach far back.
        return ExactTable(self._lake.quarantine(name), self._recent_ids, by_position=False)

    def recover(self) -> Sequence[Event]:
        """The events of every table's newest commit: they may never have been published."""
        if self._online is not None:
            self._online.open()
        events: list[Event] = []
        for table in (*self._tables.values(), *self._quarantines.values()):
            for commit in list(table.open())[-1:]:
                events += self._events(commit)
        return events

    def taken_over(self, partitions: Collection[tuple[str, int]]) -> None:
        """Forget positions and ids of all tables: each takes rows of any partition."""
        for table in (*self._tables.values(), *self._quarantines.values()):
            table.forget()

    def write(self, batch: Sequence[Received]) -> Sequence[Event]:
        """See the module: quarantine, table, features; returns the events."""
        now = self._clock.now()
        events: list[Event] = []
        # A batch has one contract a dataset, though its file may change meanwhile.
        contracts = dict(self._contracts.items())
        self._follow(contracts)
        for dataset, share in self._sort(batch, contracts, now).items():
            contract = contracts.get(dataset)
            if share.bad:
                events += self._quarantine(contract, share, now)
            if contract is not None and share.good:
                events += self._store(contract, share, now)
                self._push(contract, share.good, now)
        return events

    def _sort(
        self, batch: Sequence[Received], contracts: Mapping[str, Contract], now: datetime
    ) -> dict[str, _Share]:
        latest = now + self._max_future
        shares: dict[str, _Share] = {}
        for item in batch:
            event, message = item.event, item.message
            body: RecordReceived = event.body
            contract = contracts.get(body.dataset)
            if contract is None:
                columns, faults = {}, [Fault(None, "unknown_dataset", body.dataset)]
            else:
                columns, faults = contract.check(
                    *(body.entity, body.event_time, body.record), max_unknown=self._max_entries
                )
                if body.event_time > latest:
                    text = body.event_time.isoformat()
                    faults.append(Fault("event_time", "future", text))
            share = shares.setdefault(body.dataset if contract else UNKNOWN, _Share())
            if faults:
                columns = _quarantined(body, faults)
                share.faults[event.id] = faults
            origin = Origin(message.partition, message.offset, message.timestamp_ms)
            row = Row(event.id, body.entity, body.event_time, columns, origin)
            (share.bad if faults else share.good).append(row)
        return shares

    def _quarantine(self, contract: Contract | None, share: _Share, now: datetime) -> list[Event]:
        name = contract.dataset if contract else UNKNOWN
        table = self._quarantines[name]
        new, held = table.split(share.bad)
        ROWS.labels(name, "quarantined").inc(len(new))
        ROWS.labels(name, "repeated").inc(len(held))
        commits = table.commits_of(held)
        if new:
            bodies = [
                {
                    "type": DataQuarantined.type,
                    "dataset": dataset,
                    "rows": rows,
                    **self._bounded(
                        "reasons",
                        _reasons(
                            share.faults[r.event_id] for r in new if r.columns["dataset"] == dataset
                        ),
                    ),
                    "quarantine_uri": table.uri,
                    "contract_version": contract.version if contract else None,
                }
                for dataset, rows in Counts(row.columns["dataset"] for row in new).items()
            ]
            commits.append(self._commit(table, name, new, bodies, now))
        return [event for commit in commits for event in self._events(commit)]

    def _bounded(self, name: str, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A list of an event, and how much of it is left out."""
        kept, left_out = bounded(entries, self._max_entries)
        if left_out:
            LEFT_OUT.labels(name).inc(left_out)
        return {name: kept, f"{name}_left_out": left_out}

    def _store(self, contract: Contract, share: _Share, now: datetime) -> list[Event]:
        table = self._tables[contract.dataset]
        new, held = table.split(share.good)
        ROWS.labels(contract.dataset, "stored").inc(len(new))
        ROWS.labels(contract.dataset, "repeated").inc(len(held))
        commits = table.commits_of(held)
        if new:
            times = [row.event_time for row in new]
            # The range is half-open, and the lake counts microseconds.
            end = max(times)
            if end < datetime.max.replace(tzinfo=end.tzinfo):
                end += timedelta(microseconds=1)
            body = {
                "type": DataArrived.type,
                "dataset": contract.dataset,
                "table_uri": table.uri,
                "rows": len(new),
                "quarantined_rows": len({row.event_id for row in share.bad}),
                "event_time": {"start": min(times).isoformat(), "end": end.isoformat()},
                "contract_version": contract.version,
                **self._bounded(
                    "profile",
                    [
                        asdict(profile(column, [row.columns[column.name] for row in new]))
                        for column in contract.columns
                    ],
                ),
            }
            commits.append(self._commit(table, contract.dataset, new, [body], now))
            NEWEST.labels(contract.dataset).set(max(times).timestamp())
        return [event for commit in commits for event in self._events(commit)]

    def _events(self, commit: Commit) -> list[Event]:
        """The events in a commit's note, with the same ids however often they are made."""
        note = json.loads(commit.note)
        events: list[Event] = []
        for index, noted in enumerate(note["events"]):
            fields = dict(noted)
            kind = BY_TYPE[fields.pop("type")]
            name, part = (
                ("profile", ColumnProfile) if kind is DataArrived else ("reasons", QuarantineReason)
            )
            # Notes of earlier releases may be longer than an event can be.
            kept, left_out = bounded(fields[name], self._max_entries)
            fields[name] = [part(**entry) for entry in kept]
            fields[f"{name}_left_out"] = fields.get(f"{name}_left_out", 0) + left_out
            if kind is DataArrived:
                fields |= {"table_version": commit.version, "total_rows": commit.total_rows}
            events.append(
                Event(
                    body=kind.model_validate(fields),
                    source=SOURCE,
                    time=datetime.fromisoformat(note["time"]),
                    id=derived_id(commit.id, kind.type, index),
                )
            )
        return events

    def _commit(
        self,
        table: ExactTable,
        name: str,
        rows: Sequence[Row],
        bodies: Sequence[dict[str, Any]],
        now: datetime,
    ) -> Commit:
        note = json.dumps({"time": now.isoformat(), "events": bodies})
        with COMMIT_SECONDS.labels(name).time():
            return table.append(rows, note, now)

    def _push(self, contract: Contract, rows: Sequence[Row], now: datetime) -> None:
        """Push rows; also those that the table held, which may not have been pushed then."""
        if self._online is None or contract.feature_view is None:
            return
        latest = now + self._max_online_future
        ahead = sum(row.event_time > latest for row in rows)
        if ahead:
            log.warning(
                "%s: %d rows are ahead of the clock, so not online", contract.dataset, ahead
            )
            NOT_ONLINE.labels(contract.dataset).inc(ahead)
            rows = [row for row in rows if row.event_time <= latest]
        if not rows:
            return
        with PUSH_SECONDS.labels(contract.dataset).time():
            self._online.push(contract.feature_view, rows)


def _quarantined(body: RecordReceived, faults: Sequence[Fault]) -> dict[str, Any]:
    return {
        "dataset": body.dataset,
        "record": json.dumps(body.record),
        "reasons": json.dumps([asdict(fault) for fault in faults]),
    }


def _reasons(faulty: Iterable[Sequence[Fault]]) -> list[dict[str, Any]]:
    """Every rule that was broken, with its first offending value, the most frequent first."""
    first: dict[tuple[str | None, str], Fault] = {}
    rows: Counts[tuple[str | None, str]] = Counts()
    for faults in faulty:
        broken = {(fault.column, fault.rule): fault for fault in reversed(faults)}
        rows.update(broken.keys())
        for rule, fault in broken.items():
            first.setdefault(rule, fault)
    return [
        {"column": column, "rule": rule, "example": first[column, rule].value, "rows": count}
        for (column, rule), count in rows.most_common()
    ]
