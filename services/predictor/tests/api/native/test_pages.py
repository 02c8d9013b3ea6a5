from services.predictor.tests.lab import Lab


def test_before_any_step_the_service_is_starting(lab: Lab) -> None:
    assert lab.get("/health") == {
        "status": "starting",
        "ready": False,
        "models": {},
        "failures": [],
    }
    assert lab.get("/v1/models") == {"models": [], "failures": []}


def test_an_empty_topic_is_ready(lab: Lab) -> None:
    lab.announce()
    health = lab.get("/health")
    assert (health["status"], health["ready"]) == ("ok", True)


def test_models_show_what_is_in_force(lab: Lab) -> None:
    lab.announce(lab.step(3, lab.version(1), lab.version(2, bias=1.0), weight=0.25))
    (model,) = lab.get("/v1/models")["models"]
    assert {k: model[k] for k in ("model", "rollout_id", "sequence", "phase", "weight")} == {
        "model": "flight_delay",
        "rollout_id": "rollout-3",
        "sequence": 3,
        "phase": "canary",
        "weight": 0.25,
    }
    assert (model["champion"]["version"], model["challenger"]["version"]) == ("1", "2")
    assert model["champion"]["features"][2] == {
        "name": "hour",
        "kind": "number",
        "source": "request",
        "required": False,
    }
    assert lab.get("/health")["models"] == {"flight_delay": ["1", "2"]}


def test_a_version_that_cannot_be_loaded_is_shown(serving: Lab) -> None:
    serving.announce(serving.step(1, serving.version(2, sha256="0" * 64)))
    health = serving.get("/health")
    assert (health["status"], health["ready"]) == ("degraded", True)
    (failure,) = health["failures"]
    assert (failure["reason"], failure["version"], failure["sequence"]) == ("sha256", "2", 1)
    assert serving.get("/v1/models")["failures"] == [failure]
