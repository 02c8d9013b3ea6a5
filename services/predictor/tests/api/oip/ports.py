"""Where the predictor listens, for clients of the Open Inference Protocol."""

from dataclasses import dataclass

from services.predictor.tests.lab import Features, Lab

from event_schemas.policy import Feature

NUMBERS = (
    Feature(name="hour", kind="number", source="request"),
    Feature(name="distance", kind="number", source="request"),
)
TOKEN = "a-token-of-the-testers"
CATEGORIES = (
    Feature(name="carrier", kind="category", source="request"),
    Feature(name="origin", kind="category", source="request"),
)


@dataclass
class Ports:
    """Where it listens."""

    http: str
    grpc: str
    lab: Lab
    token: str = TOKEN
    numbers: Features = NUMBERS
