"""Wires the predictor."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import Lifespan

from event_schemas import RolloutStep
from predictor.adapters.features.feast_features import FeastOnlineFeatures, NoFeatures
from predictor.adapters.features.feast_registry import FeastRegistry
from predictor.adapters.features.redis_features import RedisFeatures
from predictor.adapters.journal.bus_journal import BusJournal
from predictor.adapters.journal.metrics import DROPPED
from predictor.adapters.journal.spool.spool import Spool
from predictor.adapters.journal.spool_journal import SpoolJournal
from predictor.adapters.models.idle_priority import IdlePriority, at_idle_priority
from predictor.adapters.models.mlflow_artifacts import MlflowArtifacts
from predictor.adapters.models.onnx_model import OnnxModel, import_runtime
from predictor.adapters.models.skops_model import SkopsPool
from predictor.adapters.models.trial import Format, Trial
from predictor.adapters.redis_cache import RedisCache
from predictor.api.direct import Direct
from predictor.api.headers import Override
from predictor.api.intake import Intake, Limits
from predictor.api.kafka import KafkaScoring, KafkaScoringLoop
from predictor.api.native.openapi import document
from predictor.api.native.pages import pages
from predictor.api.native.predict import (
    PREDICT,
    PREDICT_MODEL,
    MiddlewareBypass,
    Predict,
    PredictModel,
)
from predictor.api.native.predict import direct as past_asgi
from predictor.api.oip.grpc_server import GrpcServer
from predictor.api.oip.http import INFER, INFER_VERSION, Infer, protocol_pages
from predictor.api.oip.inference import Inference
from predictor.domain.admission import Admission
from predictor.domain.deadlines import Timeouts
from predictor.ports import Artifacts, Journal, KeptScores, OnlineFeatures, OpenModel
from predictor.serving.answering import Answering
from predictor.serving.cache import PredictionCache
from predictor.serving.refusal_limiter import RefusalLimiter
from predictor.serving.routes.follow_rollout import RolloutFollower
from predictor.serving.routes.loader import Loader
from predictor.serving.shadow import Shadow
from predictor.serving.stored import StoredFeatures
from predictor.settings import PredictorSettings
from servicekit.bus import Bus
from servicekit.clock import Clock, SystemClock
from servicekit.component import Component
from stores.child import Bounds
from stores.feast import redis_online_store

TryFirst = Callable[[Format, OpenModel], OpenModel]
"""Opens files of a format once they have shown elsewhere that they can be opened."""

SHORT = (PREDICT, PREDICT_MODEL, INFER, INFER_VERSION)
"""Paths that are served past the middleware."""


def build(
    settings: PredictorSettings,
    bus: Bus,
    *,
    artifacts: Artifacts | None = None,
    features: OnlineFeatures | None = None,
    scores: KeptScores | None = None,
    clock: Clock | None = None,
    try_first: TryFirst | None = None,
) -> tuple[Sequence[Component], FastAPI]:
    """The parts of the service: what runs on threads, and the HTTP side.

    Args:
        settings: of this process.
        bus: carries `rollout.step` and `score.requested` in, and `prediction.logged` out.
        artifacts: default: MLflow.
        features: default: Feast, or none where FEAST_REPO is not set.
        scores: keeps the prediction cache; default: Redis.
        clock: default: the machine's.
        try_first: default: in a process of its own (`Trial`).

    Raises:
        SpoolUnusableError: the folder of the spool cannot be used.
    """
    clock = clock or SystemClock()
    features = features or _features(settings)
    skops = _skops(settings)
    loader = _loader(settings, artifacts, features, skops, try_first or _trial(settings))
    follower = RolloutFollower(
        lambda: bus.view(RolloutStep.topic()),
        loader,
        load_patience_seconds=settings.load_patience_seconds,
        ready_patience_seconds=settings.ready_patience_seconds,
    )
    journal = _journal(settings, bus)
    shadow = _shadow(settings, features, journal, clock)
    cache = _cache(settings, scores)
    answering = _answering(settings, follower, features, journal, clock, cache, shadow)
    intake = Intake(answering, clock, _limits(settings), Override(settings.override_token))
    scoring = KafkaScoring(intake, lambda: follower.failures)
    inference = Inference(lambda: follower.routes, intake)
    grpc = _grpc(settings, inference, follower)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        journal.start()
        if grpc is not None:
            await grpc.start()
        scoring.join(asyncio.get_running_loop())
        yield
        await asyncio.to_thread(scoring.leave, settings.log_deadline_seconds)
        if grpc is not None:
            await grpc.stop()
        if shadow is not None:
            await shadow.close(settings.log_deadline_seconds)
        journal.stop()
        await asyncio.to_thread(journal.close, settings.log_deadline_seconds)
        await features.close()
        await cache.close()
        await asyncio.to_thread(skops.close)

    api = _http(lifespan, intake, inference, follower)
    return [follower, *_loops(settings, bus, scoring, follower)], api


def _loader(
    settings: PredictorSettings,
    artifacts: Artifacts | None,
    features: OnlineFeatures,
    skops: SkopsPool,
    try_first: TryFirst,
) -> Loader:
    idle = IdlePriority(settings.open_patience_seconds)
    onnx = at_idle_priority(OnnxModel, idle, import_runtime)
    formats = {"onnx": try_first("onnx", onnx), "skops": try_first("skops", skops.open)}
    return Loader(artifacts or artifacts_of(settings, idle), features, formats)


def _trial(settings: PredictorSettings) -> TryFirst:
    bounds = Bounds(settings.open_memory_bytes, settings.open_seconds)
    return Trial(bounds, settings.skops_trusted_types).first


def _skops(settings: PredictorSettings) -> SkopsPool:
    return SkopsPool(
        workers=settings.skops_workers,
        timeout_seconds=settings.skops_timeout_seconds,
        max_batches=settings.skops_max_batches,
        trusted_types=settings.skops_trusted_types,
    )


def _journal(settings: PredictorSettings, bus: Bus) -> BusJournal | SpoolJournal:
    """Where the settings want log records to be before an answer goes."""
    # Acknowledgements are heard on the event loop, which would else fight with a thread.
    if settings.spooled is None:
        return BusJournal(
            bus.sender(polled=True),
            settings.log_deadline_seconds,
            early=settings.answer_after == "queue",
        )
    spool = Spool(settings.spooled, settings.spool_max_bytes, on_lost=DROPPED.labels("corrupt").inc)
    sender = bus.sender(polled=True, patient=True)
    return SpoolJournal(spool, sender, refuse=settings.spool_full == "refuse")


def _shadow(
    settings: PredictorSettings, features: OnlineFeatures, journal: Journal, clock: Clock
) -> Shadow | None:
    if settings.shadow_max_share <= 0:
        return None
    return Shadow(
        _stored(settings, features, metered=False),
        journal,
        clock,
        share=settings.shadow_max_share,
        queue=settings.shadow_max_queue,
        load=settings.shadow_max_load,
    )


def _cache(settings: PredictorSettings, scores: KeptScores | None) -> PredictionCache:
    return PredictionCache(
        scores or RedisCache(settings.cache_url or settings.redis_url),
        timeout=settings.cache_timeout_seconds,
        pause=settings.cache_pause_seconds,
    )


def _stored(
    settings: PredictorSettings, features: OnlineFeatures, *, metered: bool = True
) -> StoredFeatures:
    """The feature store behind a circuit breaker of its own."""
    return StoredFeatures(
        features,
        timeout=settings.feature_timeout_seconds,
        pause=settings.feature_pause_seconds,
        last_known=settings.last_known_values,
        metered=metered,
    )


def _features(settings: PredictorSettings) -> OnlineFeatures:
    """The feature store that the settings name."""
    if settings.feast_repo is None:
        return NoFeatures()
    if settings.feast_online_store is not None:
        return FeastOnlineFeatures(FeastRegistry(settings.feast_repo, settings.feast_online_store))
    registry = FeastRegistry(settings.feast_repo, redis_online_store(settings.redis_url))
    return RedisFeatures(registry, settings.redis_url)


def _answering(
    settings: PredictorSettings,
    follower: RolloutFollower,
    features: OnlineFeatures,
    journal: Journal,
    clock: Clock,
    cache: PredictionCache,
    shadow: Shadow | None,
) -> Answering:
    admission = Admission(
        settings.max_in_flight,
        settings.max_model_share,
        settings.retry_after_seconds,
        settings.max_retry_after_seconds,
        now=time.monotonic,
    )
    stored, most = _stored(settings, features), settings.max_rows
    return Answering(
        lambda: follower.routes, stored, journal, clock, admission, cache, shadow, max_batch=most
    )


def _limits(settings: PredictorSettings) -> Limits:
    return Limits(
        body_bytes=settings.max_body_bytes,
        entity_characters=settings.max_entity_characters,
        event_time_ahead_seconds=settings.max_event_time_ahead_seconds,
        instances=settings.max_instances,
        retry_after_seconds=settings.retry_after_seconds,
        timeouts=Timeouts(settings.request_timeout_seconds, settings.max_request_timeout_seconds),
        refusals=RefusalLimiter(settings.max_refusals_per_second),
    )


def _loops(
    settings: PredictorSettings, bus: Bus, scoring: KafkaScoring, follower: RolloutFollower
) -> Sequence[Component]:
    """What reads requests over Kafka, where they are answered."""
    if not settings.score_requested:
        return ()
    return (
        KafkaScoringLoop(
            scoring,
            bus,
            settings.score_requested_batch,
            settings.score_requested_member,
            lambda: follower.tried,
        ),
    )


def _grpc(
    settings: PredictorSettings, inference: Inference, follower: RolloutFollower
) -> GrpcServer | None:
    if settings.grpc_port is None:
        return None
    return GrpcServer(
        inference,
        lambda: follower.ready,
        settings.http_host,
        settings.grpc_port,
        shared=settings.workers > 1,
        header_bytes=settings.max_header_bytes,
        read_seconds=settings.request_read_seconds,
    )


def _http(
    lifespan: Lifespan[FastAPI],
    intake: Intake,
    inference: Inference,
    follower: RolloutFollower,
) -> FastAPI:
    api = FastAPI(
        title="Tailrace predictor",
        version="1",
        description="Answers predictions with the champion or the canary, and logs each of them.",
        lifespan=lifespan,
    )
    infer = Infer(inference)
    for path, endpoint in (
        (PREDICT, Predict(intake)),
        (PREDICT_MODEL, PredictModel(intake)),
        (INFER, infer),
        (INFER_VERSION, infer),
    ):
        api.router.routes.append(Route(path, endpoint, methods=["POST"], include_in_schema=False))
    api.include_router(pages(follower))
    api.include_router(protocol_pages(inference, lambda: follower.ready))
    api.openapi = lambda: document(api)
    return api


def shortcut(api: FastAPI) -> MiddlewareBypass:
    """The application with a shorter way to the predictions."""
    return MiddlewareBypass(
        api, [r for r in api.routes if isinstance(r, Route) and r.path in SHORT]
    )


def direct(api: FastAPI) -> Direct:
    """The shortest way to the predictions, past ASGI."""
    found = {each.path: each.endpoint for each in api.routes if isinstance(each, Route)}
    return past_asgi(cast(Predict, found[PREDICT]), cast(PredictModel, found[PREDICT_MODEL]))


def preload(settings: PredictorSettings) -> None:
    """Import what every worker needs, before they are forked: they share that memory."""
    artifacts_of(settings).warm_up()
    _features(settings).warm_up()


def artifacts_of(settings: PredictorSettings, idle: IdlePriority | None = None) -> Artifacts:
    """Where the files of versions come from; `idle` checks them in what is left of the core."""
    return MlflowArtifacts(
        settings.mlflow_tracking_uri,
        settings.model_cache or Path(tempfile.gettempdir()) / "tailrace-predictor",
        idle,
        settings.artifact_limits,
    )
