"""The end of a partition is asked for until a broker knows that it leads it."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from servicekit.kafka.offsets import first_and_end


class Answering:
    """A consumer whose broker answers as it was told, and at last that the end is at 7."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        if self.codes:
            raise KafkaException(KafkaError(self.codes.pop(0)))
        return 0, 7


def end(seconds: float, *codes: int) -> int:
    return first_and_end(Answering(*codes), TopicPartition("t", 0), seconds)[1]  # type: ignore[arg-type]


def test_a_broker_that_hears_of_its_leadership_later_is_asked_again() -> None:
    assert end(5, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART) == 7


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        pytest.param(0, KafkaError.NOT_LEADER_FOR_PARTITION, id="for too long"),
        pytest.param(5, KafkaError.TOPIC_AUTHORIZATION_FAILED, id="for another reason"),
    ],
)
def test_other_errors_are_raised(seconds: float, code: int) -> None:
    with pytest.raises(KafkaException):
        end(seconds, code, code)
