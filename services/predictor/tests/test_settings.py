import pytest
from pydantic import ValidationError

from predictor.settings import PredictorSettings


def test_a_request_can_never_have_more_instances_than_may_be_under_way() -> None:
    PredictorSettings(max_in_flight=10, max_instances=10)
    with pytest.raises(ValidationError, match="MAX_INSTANCES=11 is more than MAX_IN_FLIGHT=10"):
        PredictorSettings(max_in_flight=10, max_instances=11)
