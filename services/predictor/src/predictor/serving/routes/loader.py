"""Makes a loaded version of an announced one."""

import gc
import logging
import threading
import time
from collections.abc import Mapping

from event_schemas.model import ModelVersion
from predictor.domain.errors import LoadError
from predictor.domain.features import Signature
from predictor.ports import Artifacts, OnlineFeatures, OpenModel
from predictor.serving.metrics import LOAD_SECONDS
from predictor.serving.routes.loaded import LoadedVersion, inputs

log = logging.getLogger(__name__)


class Loader:
    """Fetches, checks, opens and tries a version; blocks for as long as that takes.

    For several threads at once.
    """

    def __init__(
        self, artifacts: Artifacts, features: OnlineFeatures, formats: Mapping[str, OpenModel]
    ) -> None:
        self._artifacts = artifacts
        self._features = features
        self._formats = formats
        self._preparing = threading.Lock()

    def warm_up(self) -> None:
        """Import what the first version would wait for; takes seconds."""
        self._features.warm_up()
        self._artifacts.warm_up()

    def load(self, version: ModelVersion) -> LoadedVersion:
        """The version, ready to answer.

        Raises:
            LoadError: it can never be loaded.
            UnavailableError: it cannot be loaded now.
        """
        started = time.perf_counter()
        artifact = version.artifact
        open_model = self._formats.get(artifact.format)
        if open_model is None:
            raise LoadError(
                "format",
                f"{artifact.uri} is {artifact.format}: served are {', '.join(self._formats)}",
            )
        signature = Signature(inputs(version.features))
        with self._preparing:
            self._features.prepare(signature.lookups)
        path = self._artifacts.fetch(artifact.uri, artifact.sha256)
        model = open_model(path, signature.inputs, version.target)
        took = time.perf_counter() - started
        LOAD_SECONDS.observe(took)
        log.info("loaded %s version %s in %.2f s", version.model, version.version, took)
        return LoadedVersion(
            version.model,
            version.version,
            artifact.sha256,
            signature,
            model,
            version.policies.serving.sampling_rate,
            version.policies.serving.cache_seconds,
            version.target,
        )


def settle_memory() -> None:
    """Keep what is in memory now out of later collections.

    Feast and MLflow leave a million objects; a full collection over them is a pause of tens of
    milliseconds in somebody's request, and of scoring a table they take a quarter of the time.
    """
    gc.collect()
    gc.freeze()
