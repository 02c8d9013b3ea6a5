"""The artifact on rows that no hold-out need have."""

import pytest

from event_schemas.task import BINARY
from trainer.adapters import artifact

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the converters


def test_fault_6_11_the_model_stays_onnx_where_odd_rows_are_tried_too(
    pipeline_module, flights, definition
) -> None:
    frame, labels = flights
    fitted = pipeline_module.build_pipeline(7).fit(frame[:3000], labels[:3000])
    held = frame[3000:].reset_index(drop=True)
    policy = definition.policies.gate
    made = artifact.export(fitted, definition.features, BINARY, held, policy)
    assert made.format == "onnx", made.why_not_onnx
    assert made.parity <= policy.parity_tolerance
