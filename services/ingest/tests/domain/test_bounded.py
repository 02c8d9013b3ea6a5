import json

from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.bounded import MAX_BYTES, bounded


def test_fault_6_1_a_list_at_the_limit_is_whole_and_one_entry_more_is_left_out():
    entries = [{"n": n} for n in range(4)]
    assert bounded(entries[:3], 3) == (entries[:3], 0)
    assert bounded(entries, 3) == (entries[:3], 1)


def test_fault_6_1_few_large_entries_end_where_the_bytes_do():
    size = len(json.dumps({"a": ""})) + 1
    whole, half = {"a": "x" * (MAX_BYTES - size)}, {"a": "x" * (MAX_BYTES // 2)}
    assert bounded([whole], 9) == ([whole], 0)
    assert bounded([whole, {}], 9) == ([whole], 1)
    assert bounded([half, half], 9) == ([half], 1)


@given(st.lists(st.dictionaries(st.text(), st.text(), max_size=3), max_size=9), st.integers(1, 9))
def test_fault_6_1_what_is_kept_is_the_first_and_the_rest_is_counted(entries, limit):
    kept, left_out = bounded(entries, limit)
    assert kept == entries[: len(kept)]
    assert len(kept) + left_out == len(entries)
