from typing import Any

import pytest
from pydantic import ValidationError

from predictor.settings import PredictorSettings


@pytest.mark.parametrize(
    ("least", "most"),
    [
        ("request_timeout_seconds", "max_request_timeout_seconds"),
        ("retry_after_seconds", "max_retry_after_seconds"),
    ],
)
def test_a_default_is_no_more_than_its_maximum(least: str, most: str) -> None:
    good: dict[str, Any] = {least: 5, most: 5}
    PredictorSettings(**good)
    with pytest.raises(ValidationError, match=f"{least.upper()}=6 is more than {most.upper()}=5"):
        PredictorSettings(**{**good, least: 6})


def test_a_request_can_never_have_more_instances_than_may_be_under_way() -> None:
    PredictorSettings(max_in_flight=10, max_instances=10)
    with pytest.raises(ValidationError, match="MAX_INSTANCES=11 is more than MAX_IN_FLIGHT=10"):
        PredictorSettings(max_in_flight=10, max_instances=11)
