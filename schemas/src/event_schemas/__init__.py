"""The events of Tailrace: the only language its services share.

One module per subject. Every event is a frozen model whose class names its topic and key; `EVENTS`
lists them all.
"""

from event_schemas.arm import ArmMeasured
from event_schemas.base import EventBody
from event_schemas.data import DataArrived, DataQuarantined
from event_schemas.drift import DriftCleared, DriftDetected, DriftSuspected
from event_schemas.label import LabelArrived
from event_schemas.model import ModelApproved, ModelRejected, ModelTrained, TrainingFailed
from event_schemas.prediction import PredictionLogged
from event_schemas.record import RecordReceived
from event_schemas.retrain import RetrainDecided, RetrainRequested
from event_schemas.rollout import RolloutCommand, RolloutStep
from event_schemas.score import ScoreRequested

EVENTS: tuple[type[EventBody], ...] = (
    RecordReceived,
    DataArrived,
    DataQuarantined,
    LabelArrived,
    RetrainRequested,
    RetrainDecided,
    ModelTrained,
    ModelApproved,
    ModelRejected,
    TrainingFailed,
    RolloutCommand,
    RolloutStep,
    ScoreRequested,
    PredictionLogged,
    ArmMeasured,
    DriftSuspected,
    DriftDetected,
    DriftCleared,
)
"""Every event, in the order in which the loop produces them."""

BY_TYPE: dict[str, type[EventBody]] = {event.type: event for event in EVENTS}

__all__ = [
    "BY_TYPE",
    "EVENTS",
    "ArmMeasured",
    "DataArrived",
    "DataQuarantined",
    "DriftCleared",
    "DriftDetected",
    "DriftSuspected",
    "EventBody",
    "LabelArrived",
    "ModelApproved",
    "ModelRejected",
    "ModelTrained",
    "PredictionLogged",
    "RecordReceived",
    "RetrainDecided",
    "RetrainRequested",
    "RolloutCommand",
    "RolloutStep",
    "ScoreRequested",
    "TrainingFailed",
]
