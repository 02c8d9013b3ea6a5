"""Tables that are there, that are not, and a lake that is away."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError

from servicekit.errors import UnavailableError
from stores.delta import open_table, outages, seconds


def test_a_table_is_opened_at_its_newest_version_or_another(tmp_path: Path) -> None:
    for n in range(2):
        write_deltalake(str(tmp_path), pa.table({"n": [n]}), mode="append")
    newest, first = open_table(str(tmp_path)), open_table(str(tmp_path), 0)
    assert newest is not None
    assert first is not None
    assert (newest.version(), first.version()) == (1, 0)


def test_a_table_that_is_not_there_is_none_and_no_outage(tmp_path: Path) -> None:
    assert open_table(str(tmp_path / "nothing")) is None


def test_a_version_that_is_not_there_is_an_outage_with_its_cause(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path), pa.table({"n": [1]}))
    with pytest.raises(UnavailableError) as caught:
        open_table(str(tmp_path), 7)
    assert isinstance(caught.value.__cause__, DeltaError)


@pytest.mark.parametrize("error", [DeltaError("\x1b[31maway\x1b[0m\n  now"), OSError("away now")])
def test_an_outage_names_the_table_and_its_error_in_one_plain_line(error: Exception) -> None:
    with (
        pytest.raises(UnavailableError, match=r"^s3://lake/x: \w+: away now$"),
        outages("s3://lake/x"),
    ):
        raise error


def test_a_damaged_file_is_an_outage_only_to_those_who_say_so() -> None:
    with pytest.raises(pa.ArrowInvalid), outages("lake"):
        raise pa.ArrowInvalid("cut off")
    with pytest.raises(UnavailableError, match="cut off"), outages("lake", damage=True):
        raise pa.ArrowInvalid("cut off")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", None])
def test_moments_are_seconds_since_1970_and_without_an_offset_utc(unit, zone) -> None:
    at = datetime(2013, 7, 1, 10, tzinfo=UTC)
    column = pa.array([at], pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, zone))
    assert seconds(column) == [at.timestamp()]
