"""Somebody approves a broken model by hand, past the gate: the canary has to catch it."""

import hashlib
import tempfile
from datetime import datetime
from pathlib import Path

from event_schemas import ModelApproved, ModelTrained
from event_schemas.model import Artifact, GateResult, ModelVersion
from servicekit.bus import Bus
from tailrace.bus import publish
from tailrace.flights.registry import mlflow_client

NAME = "saboteur@example.org"


def inverted(onnx_model: bytes) -> bytes:
    """The same model with every probability turned into its opposite.

    The last output ([n, 2] probabilities) is reversed along its columns, so the file is valid, has
    the same inputs and outputs, and is wrong wherever the original is right.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_from_string(onnx_model)
    output = model.graph.output[-1].name
    honest = f"{output}_honest"
    for node in model.graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name == output:
                    names[position] = honest
    swapped = helper.make_tensor("swapped_columns", TensorProto.INT64, [2], [1, 0])
    model.graph.initializer.append(swapped)
    model.graph.node.append(
        helper.make_node("Gather", [honest, "swapped_columns"], [output], axis=1)
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def sabotage(
    champion: ModelVersion,
    artifact: bytes,
    tracking_uri: str,
    bus: Bus,
    event_time: datetime,
) -> str:
    """Register the inverted champion as a version of its own and approve it by hand.

    Returns:
        The version that was approved.
    """
    client = mlflow_client(tracking_uri)
    content = inverted(artifact)
    experiment = client.get_experiment_by_name(champion.model)
    experiment_id = (
        experiment.experiment_id if experiment else client.create_experiment(champion.model)
    )
    run = client.create_run(experiment_id, run_name="sabotage", tags={"approved_by": NAME})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        client.log_artifact(run.info.run_id, str(path))
    client.set_terminated(run.info.run_id)
    uri = f"{run.info.artifact_uri}/model.onnx"
    registered = client.create_model_version(champion.model, source=uri, run_id=run.info.run_id)
    version = champion.model_copy(
        update={
            "version": str(registered.version),
            "run_id": run.info.run_id,
            "artifact": Artifact(
                uri=uri, sha256=hashlib.sha256(content).hexdigest(), format="onnx"
            ),
            "trained_at": event_time,
        }
    )
    trained = ModelTrained(model=champion.model, version=version, data=(), metrics=())
    approved = ModelApproved(
        model=champion.model,
        version=version,
        gates=(
            GateResult(gate="log_loss", verdict="not_measured", reason="skipped: approved by hand"),
        ),
        approved_by=NAME,
    )
    publish(bus, "/tailrace/demo", trained, approved)
    return version.version
