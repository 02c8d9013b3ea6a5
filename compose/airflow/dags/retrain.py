"""Asks for a retraining of each model every Monday; the trainer decides, as it does for everybody.

The DAG publishes an event and reads the answer. Governance, training, gates and rollout stay where
they are, so a schedule cannot get a model past them.
"""

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag

MODELS = os.environ.get("RETRAIN_MODELS", "flight_delay").split(",")


@dag(
    schedule="0 4 * * 1",
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["tailrace"],
)
def retrain() -> None:
    """One task a model: request, and wait for the trainer's decision."""
    for model in MODELS:
        BashOperator(
            task_id=f"retrain_{model}",
            bash_command=(
                f"/opt/tailrace/bin/tailrace retrain {model} --cause schedule --by airflow --wait"
            ),
            execution_timeout=timedelta(minutes=10),
            retries=2,
            retry_delay=timedelta(minutes=5),
        )


retrain()
