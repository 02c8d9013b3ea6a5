"""What is loaded, and how it is: `GET /v1/models` and `GET /health`."""

from typing import Any

from fastapi import APIRouter

from predictor.serving.routes.follow_rollout import LoadFailure, RolloutFollower
from predictor.serving.routes.loaded import LoadedRoute, LoadedVersion


def pages(follower: RolloutFollower) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["operations"])

    @router.get("/v1/models", summary="What is loaded")
    async def models() -> dict[str, Any]:
        """Each model with its versions, weight, phase and features, and what failed to load."""
        routes = follower.routes.by_model
        return {
            "models": [_model(routes[name]) for name in sorted(routes)],
            "failures": [_failure(f) for _, f in sorted(follower.failures.items())],
        }

    @router.get("/health", summary="Status for people")
    async def health() -> dict[str, Any]:
        """`ok`, `starting`, or `degraded` when a step could not be brought into force."""
        ready, failures = follower.ready, follower.failures
        return {
            "status": "degraded" if failures else "ok" if ready else "starting",
            "ready": ready,
            "models": {
                name: [version.version for version in route.versions]
                for name, route in sorted(follower.routes.by_model.items())
            },
            "failures": [_failure(f) for _, f in sorted(failures.items())],
        }

    return router


def _model(route: LoadedRoute) -> dict[str, Any]:
    return {
        "model": route.model,
        "rollout_id": route.rollout_id,
        "sequence": route.sequence,
        "phase": route.phase,
        "weight": route.weight,
        "shadow": route.shadow,
        "champion": _version(route.champion.version),
        "challenger": None if route.challenger is None else _version(route.challenger.version),
    }


def _version(version: LoadedVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "sha256": version.sha256,
        "task": version.target.task,
        "classes": version.target.classes,
        "features": [
            {
                "name": each.name,
                "kind": each.kind,
                "source": "store" if each.stored else "request",
                "required": each.required,
            }
            for each in version.signature.inputs
        ],
    }


def _failure(failure: LoadFailure) -> dict[str, Any]:
    return {
        "model": failure.model,
        "version": failure.version,
        "sequence": failure.sequence,
        "reason": failure.reason,
        "message": failure.message,
        "will_retry": failure.will_retry,
    }
