import pytest
from tests.chaos.probe import longest_silence


@pytest.mark.parametrize(
    ("acks", "silence"),
    [
        pytest.param([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 1, id="none"),
        pytest.param([1, 2, 3, 7, 8, 9, 10], 4, id="in the middle"),
        pytest.param([1, 2, 3], 7, id="to the end"),
        pytest.param([1, 9, 10], 6, id="counted from the kill on"),
        pytest.param([], 7, id="nothing at all"),
        pytest.param([1, 2, 3, 12], 7, id="what comes later is not looked at"),
    ],
)
def test_a_silence_is_the_longest_time_without_an_acknowledgement(acks, silence) -> None:
    assert longest_silence([float(at) for at in acks], since=3.0, until=10.0) == silence
