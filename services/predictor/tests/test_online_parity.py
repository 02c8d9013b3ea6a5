"""What is read straight from Redis equals what Feast reads from it, for every type of value."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from predictor.adapters.features.feast_features import FeastOnlineFeatures
from predictor.adapters.features.feast_registry import FeastRegistry
from predictor.adapters.features.redis_features import RedisFeatures
from predictor.domain.batching import Lookup
from predictor.domain.features import Cell, Ref, Value
from stores.feast import redis_online_store, repo_config

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]

Cells: TypeAlias = dict[tuple[str, Value], Mapping[Ref, Cell]]
ENTITIES = 10_000
AT = datetime(2013, 7, 1, 10, tzinfo=UTC)
RANDOM = random.Random(7)
VALUES: dict[str, Callable[[], object]] = {
    "Float64": lambda: RANDOM.choice([RANDOM.gauss(0, 1e6), 0.0, float("inf"), 5e-324]),
    "Float32": lambda: RANDOM.choice([0.5, -1.25, 3.0e38]),
    "Int64": lambda: RANDOM.choice([0, 1, -1, 2**63 - 1, -(2**63), RANDOM.randrange(10**12)]),
    "Int32": lambda: RANDOM.choice([0, -1, 2**31 - 1, -(2**31), RANDOM.randrange(10**6)]),
    "String": lambda: RANDOM.choice(["", "EWR", "Zürich ✈", "x" * 300]),
    "Bool": lambda: RANDOM.random() < 0.5,
    "Bytes": lambda: RANDOM.randbytes(RANDOM.randrange(200)),
    "UnixTimestamp": lambda: AT + timedelta(seconds=RANDOM.randrange(10**8)),
    "Array(Float64)": lambda: [RANDOM.random() for _ in range(RANDOM.randrange(4))],
    "Array(String)": lambda: ["a", "ü"][: RANDOM.randrange(3)],
}
"""Makers of a value, by the name of its type in Feast."""


@pytest.mark.parametrize("kind", ["STRING", "INT64", "INT32"])
def test_rows_are_as_feast_gives_them(tmp_path: Path, redis_url: str, kind: str) -> None:
    # Every type of key with some entities, one of them with all.
    count = ENTITIES if kind == "STRING" else 500
    keys = [f"é-{i}" if kind == "STRING" else i - count // 2 for i in range(count)]
    online_store = redis_online_store(redis_url)
    refs = filled(tmp_path, online_store, kind, keys)
    registry = FeastRegistry(str(tmp_path), online_store, project=f"parity_{kind}")
    asked = [*keys, "nobody" if kind == "STRING" else 10**6]
    rubbish = [7.0, "\ud800"] if kind == "STRING" else ["EWR", 1.5, 1e300, -(2.0**63) * 2, 2.0**63]

    async def both() -> tuple[Cells, Cells]:
        through_feast, directly = FeastOnlineFeatures(registry), RedisFeatures(registry, redis_url)
        found: tuple[Cells, Cells] = ({}, {})
        for reader, into in zip((through_feast, directly), found, strict=True):
            reader.prepare({"k": refs})
            for i in range(0, len(asked), 500):
                lookup = Lookup()
                lookup.refs.update(dict.fromkeys(refs))
                # JSON knows no integers: a numeric key comes as a float.
                some = asked[i : i + 500]
                values = some if kind == "STRING" else [float(each) for each in some]
                lookup.values.update(dict.fromkeys(values))
                into.update(await reader.read({"k": lookup}))
            lookup = Lookup()
            lookup.refs.update(dict.fromkeys(refs))
            lookup.values.update(dict.fromkeys([asked[0], *rubbish]))
            found_beside = dict(await reader.read({"k": lookup}))
            assert found_beside.pop(("k", asked[0])) == into["k", asked[0]]
            assert found_beside == {("k", value): {} for value in rubbish}
            await reader.close()
        # Feast's own close() leaves this one open.
        await registry.store._get_provider().online_store._client_async.aclose()
        return found

    through_feast, directly = asyncio.run(both())
    assert len(through_feast) == len(asked)
    cells = 0
    for row, expected in through_feast.items():
        given = directly[row]
        assert given == expected, row
        assert _types(given) == _types(expected), row
        cells += len(given)
    assert cells > 0.8 * count * len(refs), "nearly all values were there to compare"


def _types(cells: Mapping[Ref, Cell]) -> dict[Ref, type]:
    return {ref: type(value) for ref, (value, _) in cells.items()}


def filled(
    repo: Path, online_store: Mapping[str, str], kind: str, keys: Sequence[str | int]
) -> list[Ref]:
    """A registry with two views of all types, and rows for the keys; returns their fields."""
    import feast.types
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.infra.key_encoding_utils import EntityKeyProto  # pyright: ignore[reportPrivateImportUsage]
    from feast.type_map import python_values_to_proto_values

    entity = Entity(name="row", join_keys=["row"], value_type=ValueType[kind])
    types = {name: eval(name, dict(vars(feast.types))) for name in VALUES}
    path = repo / "rows.parquet"
    pd.DataFrame({"row": keys[:1], "event_time": [AT]}).to_parquet(path)
    views = [
        FeatureView(
            name=name,
            entities=[entity],
            schema=[
                Field(name="row", dtype=getattr(feast.types, kind.capitalize())),
                *(Field(name=f"f{i}", dtype=each) for i, each in enumerate(types.values())),
            ],
            source=FileSource(path=str(path), timestamp_field="event_time"),
        )
        for name in ("first", "second")
    ]
    config = repo_config(str(repo), online_store, f"parity_{kind}")
    store = FeatureStore(config=config)
    store.apply([entity, *views])
    row_keys = python_values_to_proto_values(list(keys), ValueType[kind])
    for v, view in enumerate(views):
        columns = {
            f"f{i}": python_values_to_proto_values(
                [None if RANDOM.random() < 0.1 else VALUES[name]() for _ in keys],
                each.to_value_type(),
            )
            for i, (name, each) in enumerate(types.items())
        }
        rows: list[Any] = [
            (
                EntityKeyProto(join_keys=["row"], entity_values=[key]),
                {name: column[n] for name, column in columns.items()},
                # Feast hands out whole seconds; the direct reader keeps what was written.
                AT + timedelta(seconds=n % 97 + v),
                None,
            )
            for n, key in enumerate(row_keys)
        ]
        store._get_provider().online_write_batch(config, view, rows, None)
    return [(view.name, name) for view in views for name in (f"f{i}" for i in range(len(types)))]
