"""What the trainer's settings refuse."""

import pytest
from pydantic import ValidationError

from trainer.settings import TrainerSettings


def test_fault_3_2_the_limit_of_a_training_in_flight_is_beyond_that_of_its_computation() -> None:
    TrainerSettings(in_flight_limit_seconds=1800.1)
    with pytest.raises(ValidationError, match=r"IN_FLIGHT_LIMIT_SECONDS=1800 .*raise the first"):
        TrainerSettings(in_flight_limit_seconds=1800)


def test_fault_3_4_a_second_slot_would_own_nothing_so_it_is_refused() -> None:
    with pytest.raises(ValueError, match="less than or equal to 1"):
        TrainerSettings(replica_slots=2)
