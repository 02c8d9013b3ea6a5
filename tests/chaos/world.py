"""A small world for each run: a model of its own, trips that are late by a rule, and its files."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from event_schemas import ScoreRequested

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HISTORY_DAYS = 3
TRIPS = 45
"""Trips a day."""
PLACES = 4
NOISE = 0.1
"""Share of the trips that turn out against the rule."""
REPORTS = "chaos_reports"
"""The dataset of the stored feature, which all runs share."""

MODEL = """\
model: {model}
features:
  - {{ name: x, kind: number, source: request }}
  - {{ name: place, kind: category, source: request, watch: false }}
  - {{ name: wet, kind: number, source: store, view: {reports}, join_key: place,
      max_age_seconds: 864000000, required: false, default: 0.0, watch: false }}
training:
  dataset: {dataset}
  label: late
  feature_time: asked_at
  holdout: 0.3
  min_rows: 100
gate: {{ max_regression: 10.0, min_rows: 20 }}
rollout:
  steps: [0.25, 0.5, 1.0]
  loss_margin: 8.0
  error_margin: 0.9
  min_labelled: 10
  probation_labelled: 20
  probation_margin: 10.0
drift:
  window: P1D
  slice: P1D
  lateness: PT1H
  label_ttl: P365D
  min_rows: 30
  sample_rows: 200
  feature_threshold: 0.5
  drift_share: 0.9
  consecutive: 1
  loss_tolerance: 50.0
retrain:
  causes: [drift, manual]
  cooldown: P2D
  min_new_rows: 50
  budget: 3
"""
PIPELINE = '''\
"""A few small trees."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder


def build_pipeline(seed):
    encode = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.float32
    )
    columns = ColumnTransformer(
        [("places", encode, ["place"]), ("numbers", "passthrough", ["x", "wet"])],
        verbose_feature_names_out=False,
    )
    trees = HistGradientBoostingClassifier(
        max_iter=5, max_leaf_nodes=4, min_samples_leaf=10, early_stopping=False, random_state=seed
    )
    return Pipeline([("columns", columns), ("trees", trees)])
'''
TRIPS_CONTRACT = """\
dataset: {dataset}
entity: trip
event_time: asked_at
columns:
  trip: {{type: string, required: true}}
  asked_at: {{type: timestamp, required: true}}
  x: {{type: number, required: true}}
  place: {{type: string, required: true}}
  late: {{type: integer, required: true, allowed: [0, 1]}}
"""
REPORTS_CONTRACT = f"""\
dataset: {REPORTS}
event_time: reported_at
feature_view: {REPORTS}
columns:
  report: {{type: string, required: true}}
  place: {{type: string, required: true}}
  reported_at: {{type: timestamp, required: true}}
  wet: {{type: number, required: true}}
"""
FEATURES = f'''\
import os
from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, PushSource, ValueType
from feast.data_format import DeltaFormat
from feast.types import Float64

place = Entity(name="place", join_keys=["place"], value_type=ValueType.STRING)
table = FileSource(
    name="{REPORTS}_table",
    path=f"{{os.environ.get('LAKE_URI', '.tailrace/lake').rstrip('/')}}/{REPORTS}",
    file_format=DeltaFormat(),
    timestamp_field="event_time",
)
source = PushSource(name="{REPORTS}_push", batch_source=table)
view = FeatureView(
    name="{REPORTS}",
    entities=[place],
    ttl=timedelta(days=10000),
    schema=[Field(name="wet", dtype=Float64)],
    source=source,
)
'''


def write_shared(models: Path) -> None:
    """The files that all runs share."""
    folder = models / "chaos_places"
    (folder / "datasets").mkdir(parents=True)
    (folder / "datasets" / f"{REPORTS}.yaml").write_text(REPORTS_CONTRACT)
    (folder / "features.py").write_text(FEATURES)


@dataclass(frozen=True)
class Trip:
    """Something to be predicted, and what became of it."""

    id: str
    asked_at: datetime
    x: float
    place: str
    late: int


class World:
    """What happens in one run; the same for the same seed.

    From `changes_on` on the rule and the inputs are others, which is a drift.
    """

    def __init__(self, seed: int, changes_on: int) -> None:
        self.seed = seed
        self.model = f"chaos_{seed}"
        self.dataset = f"chaos_trips_{seed}"
        self.changes_on = changes_on

    def write(self, models: Path) -> None:
        """The model's folder."""
        folder = models / self.model
        (folder / "datasets").mkdir(parents=True)
        (folder / "datasets" / f"{self.dataset}.yaml").write_text(
            TRIPS_CONTRACT.format(dataset=self.dataset)
        )
        (folder / "pipeline.py").write_text(PIPELINE)
        (folder / "model.yaml").write_text(
            MODEL.format(model=self.model, dataset=self.dataset, reports=REPORTS)
        )

    def day(self, number: int) -> list[Trip]:
        """The trips of a day, in the order of their times; day 0 is the first that is asked."""
        dice = random.Random(f"{self.seed} {number}")
        changed = number >= self.changes_on
        return [self._trip(dice, number, i, changed) for i in range(TRIPS)]

    def history(self) -> Iterator[Trip]:
        """The trips before the first day."""
        for number in range(-HISTORY_DAYS, 0):
            yield from self.day(number)

    def reports(self, number: int) -> list[dict[str, Any]]:
        """Records of the stored feature for a day, a place each."""
        at = (START + number * DAY).isoformat()
        return [
            {
                "entity": place,
                "event_time": at,
                "record": {
                    "report": f"{place}-{number}",
                    "place": place,
                    "reported_at": at,
                    "wet": float((number + i) % 2),
                },
            }
            for i, place in enumerate(self._places())
        ]

    def record(self, trip: Trip) -> dict[str, Any]:
        """What ingest takes of a trip that is over."""
        at = trip.asked_at.isoformat()
        columns = {"trip": trip.id, "x": trip.x, "place": trip.place, "late": trip.late}
        return {"entity": trip.id, "event_time": at, "record": {**columns, "asked_at": at}}

    def request(self, trip: Trip) -> dict[str, Any]:
        """What the predictor is asked of a trip."""
        return {
            "model": self.model,
            "entity_id": trip.id,
            "prediction_id": trip.id,
            "event_time": trip.asked_at.isoformat(),
            "features": {"x": trip.x, "place": trip.place},
        }

    def score_requested(self, trip: Trip) -> ScoreRequested:
        """The same over Kafka."""
        return ScoreRequested(
            prediction_id=trip.id,
            model=self.model,
            entity=trip.id,
            features=self.request(trip)["features"],
            event_time=trip.asked_at,
        )

    def _places(self) -> list[str]:
        return [f"{self.seed}-{i}" for i in range(PLACES)]

    def _trip(self, dice: random.Random, day: int, number: int, changed: bool) -> Trip:
        x = dice.random() + (2.0 if changed else 0.0)
        late = int((x % 1.0 > 0.5) != changed) ^ (dice.random() < NOISE)
        at = START + day * DAY + timedelta(minutes=14 * number + dice.uniform(0, 9))
        return Trip(
            f"{self.seed}-{day}-{number}", at, round(x, 6), dice.choice(self._places()), int(late)
        )
