"""Asks for a retraining of each model every Monday; the trainer decides, as it does for everybody.

The DAG publishes an event and waits for what comes of it: a task succeeds when a version was
approved, and fails when the request was refused, the version rejected, or the training failed.
Governance, training, gates and rollout stay where they are, so a schedule cannot get a model past
them. `retrain.causes` of the model has to name `schedule`.
"""

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag

MODELS = [
    name.strip()
    for name in os.environ.get("RETRAIN_MODELS", "flight_delay").split(",")
    if name.strip()
]
"""Names of models, with commas between them."""
COMMAND = os.environ.get("TAILRACE_COMMAND", "/opt/tailrace/bin/tailrace")
SECONDS = 7200
"""Longest wait for the outcome."""


@dag(
    schedule="0 4 * * 1",
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["tailrace"],
)
def automated_model_retraining() -> None:
    """One task a model: request, decision, outcome."""
    for model in MODELS:
        BashOperator(
            task_id=f"retrain_{model}",
            bash_command=(
                f'"{COMMAND}" retrain "{model}" --cause schedule --by airflow'
                f" --wait --timeout {SECONDS}"
            ),
            execution_timeout=timedelta(seconds=SECONDS + 60),
            # A refusal stays one: what was asked for again would be another request.
            retries=0,
        )


automated_model_retraining()
