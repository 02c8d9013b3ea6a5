"""The Helm chart: every manifest against Kubernetes' schemas, and what each of them has to promise.

Each check is a function that returns what it finds, so that planted faults prove the checks.
"""

import ast
import copy
import http.server
import json
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "artifacts"))

import operators  # noqa: E402

CHART = ROOT / "helm" / "tailrace"
KUBERNETES = ("1.30", "1.37")
"""The oldest version that the chart supports, and the newest whose schemas are known."""

Doc = dict[str, Any]

# Ports of the minimal values, by hand: a way out that nobody meant fails the test.
KAFKA, REDIS, MLFLOW, S3 = 9092, 6379, 5000, 443
EGRESS = {
    "ingest": {KAFKA, REDIS, S3},
    "trainer": {KAFKA, MLFLOW, S3},
    "deployer": {KAFKA},
    "predictor": {KAFKA, REDIS, MLFLOW, S3},
    "drift-windows": {KAFKA, MLFLOW},
    "drift-watch": {KAFKA},
}
SETS = sorted(path.stem.removesuffix("-values") for path in (CHART / "ci").glob("*.yaml"))


def values_of(name: str) -> Doc:
    return yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text(encoding="utf-8"))


def merged(base: Doc, over: Doc) -> Doc:
    """Values as `-f base -f over` makes them."""
    both = copy.deepcopy(base)
    for key, value in over.items():
        inner = isinstance(value, dict) and isinstance(both.get(key), dict)
        both[key] = merged(both[key], value) if inner else value
    return both


def render(values: Doc, chart: Path = CHART, name: str = "demo") -> list[Doc]:
    with helm.Chart.load(chart) as loaded:
        files = loaded.render(values, name=name, namespace="ml")
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    return [doc for text in texts for doc in yaml.safe_load_all(text) if doc]


@pytest.fixture(scope="module", params=SETS)
def docs(request: pytest.FixtureRequest) -> list[Doc]:
    return render(values_of(request.param))


@pytest.fixture(scope="module")
def minimal() -> list[Doc]:
    return render(values_of("minimal"))


@pytest.fixture(scope="module")
def production() -> list[Doc]:
    return render(values_of("production"))


def kinds(docs: list[Doc], *names: str) -> dict[str, Doc]:
    """The resources of some kinds, by name without the release's."""
    return {
        re.sub("^demo-tailrace[-.]", "", doc["metadata"]["name"]): doc
        for doc in docs
        if doc["kind"] in names
    }


def workloads(docs: list[Doc]) -> dict[str, Doc]:
    found = kinds(docs, "Deployment", "StatefulSet")
    return {name: doc for name, doc in found.items() if name in EGRESS}


def pods(docs: list[Doc]) -> Iterator[tuple[str, Doc]]:
    for doc in docs:
        if doc["kind"] in ("Deployment", "StatefulSet"):
            yield doc["metadata"]["name"], doc["spec"]["template"]["spec"]
        elif doc["kind"] == "Pod":
            yield doc["metadata"]["name"], doc["spec"]


def env_of(workload: Doc) -> Doc:
    """The variables of its container: the value, or where it is from."""
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    names = [entry["name"] for entry in container["env"]]
    assert len(names) == len(set(names)), "a variable is set twice"
    return {e["name"]: e["value"] if "value" in e else e["valueFrom"] for e in container["env"]}


# -- the checks ---------------------------------------------------------------------------------


def schema_faults(docs: list[Doc]) -> list[str]:
    """What the schemas of Kubernetes and of the operators, strictly taken, say against them."""
    faults = []
    for doc in docs:
        name = f"{doc['kind']} {doc['metadata']['name']}"
        told = operators.faults(doc)
        if told is not None:
            faults += [f"{name}: {each}" for each in told]
            continue
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(doc, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                faults.append(f"{name}: {error.message}")
            except kubernetes_validate.SchemaNotFoundError:
                faults.append(f"{name}: unknown kind {doc['apiVersion']}")
    return faults


def security_faults(docs: list[Doc]) -> list[str]:
    """What pod security `restricted`, and a little more, says against the pods."""
    faults = []
    for name, pod in pods(docs):
        whole = pod.get("securityContext", {})
        if not (whole.get("runAsNonRoot") and whole.get("runAsUser", 0) > 0):
            faults.append(f"{name}: may run as root")
        if whole.get("seccompProfile") != {"type": "RuntimeDefault"}:
            faults.append(f"{name}: no seccomp profile")
        if pod.get("automountServiceAccountToken") is not False:
            faults.append(f"{name}: mounts a token")
        if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
            faults.append(f"{name}: shares the host's namespaces")
        faults += [
            f"{name}: volume {volume['name']} is of the host"
            for volume in pod.get("volumes", [])
            if "hostPath" in volume
        ]
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            context = container.get("securityContext", {})
            wanted = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
            }
            if context != wanted:
                faults.append(f"{name}/{container['name']}: securityContext is {context}")
            resources = container.get("resources", {})
            if not {"cpu", "memory"} <= resources.get("requests", {}).keys():
                faults.append(f"{name}/{container['name']}: no requests")
            if "memory" not in resources.get("limits", {}):
                faults.append(f"{name}/{container['name']}: no memory limit")
            if not re.search(r"[:@][^/]+$", container["image"]):
                faults.append(f"{name}/{container['name']}: image without a tag")
    return faults


def reference_faults(docs: list[Doc]) -> list[str]:
    """Volumes, selectors and accounts that refer to nothing."""
    faults = []
    accounts = {doc["metadata"]["name"] for doc in docs if doc["kind"] == "ServiceAccount"}
    labels = [
        doc["spec"]["template"]["metadata"]["labels"]
        for doc in docs
        if doc["kind"] in ("Deployment", "StatefulSet")
    ]
    for doc in docs:
        name = f"{doc['kind']} {doc['metadata']['name']}"
        if doc["kind"] in ("Service", "PodDisruptionBudget"):
            selector = doc["spec"]["selector"]
            wanted = selector.get("matchLabels", selector)
            if not any(wanted.items() <= each.items() for each in labels):
                faults.append(f"{name}: selects no pod")
        if doc["kind"] in ("Deployment", "StatefulSet"):
            pod = doc["spec"]["template"]["spec"]
            if pod.get("serviceAccountName", next(iter(accounts))) not in accounts:
                faults.append(f"{name}: no such account")
            claims = doc["spec"].get("volumeClaimTemplates", [])
            volumes = {v["name"] for v in pod.get("volumes", [])}
            volumes |= {claim["metadata"]["name"] for claim in claims}
            mounted = {
                mount["name"]
                for container in [*pod.get("initContainers", []), *pod["containers"]]
                for mount in container.get("volumeMounts", [])
            }
            if volumes != mounted:
                faults.append(f"{name}: volumes {volumes ^ mounted} are not both there and used")
    return faults


def availability_faults(docs: list[Doc]) -> list[str]:
    """Workloads that would fail requests while they are updated, drained or moved."""
    faults = []
    budgets = kinds(docs, "PodDisruptionBudget")
    for name, workload in workloads(docs).items():
        pod = workload["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        if workload["kind"] == "Deployment":
            how = workload["spec"]["strategy"]["rollingUpdate"]
            if how["maxUnavailable"] != 0 or how["maxSurge"] < 1:
                faults.append(f"{name}: an old pod goes before a new one is ready")
        probes = {
            probe: container.get(probe, {}).get("httpGet", {}).get("path")
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        if list(probes.values()) != ["/livez", "/livez", "/readyz"]:
            faults.append(f"{name}: probes are {probes}")
        wait = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        grace = float(env_of(workload)["SHUTDOWN_GRACE_SECONDS"])
        if not 0 < wait + grace < pod.get("terminationGracePeriodSeconds", 30):
            faults.append(f"{name}: killed before its {wait} s and {grace} s are over")
        spread = {each["topologyKey"] for each in pod.get("topologySpreadConstraints", [])}
        if spread != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}:
            faults.append(f"{name}: spread over {spread}")
        if name not in budgets or budgets[name]["spec"].get("maxUnavailable") != 1:
            faults.append(f"{name}: no budget")
    return faults


def network_faults(docs: list[Doc]) -> list[str]:
    """Missing default deny, and ways out other than those of EGRESS."""
    policies = kinds(docs, "NetworkPolicy")
    deny = policies.get("default-deny", {}).get("spec", {})
    release = {"app.kubernetes.io/name": "tailrace", "app.kubernetes.io/instance": "demo"}
    faults = []
    if deny != {"podSelector": {"matchLabels": release}, "policyTypes": ["Ingress", "Egress"]}:
        faults.append("no default deny")
    for name, ports in EGRESS.items():
        spec = policies[name]["spec"]
        if spec["podSelector"]["matchLabels"] != {
            **release,
            "app.kubernetes.io/component": name,
        }:
            faults.append(f"{name}: the policy is for other pods")
        out = {port["port"] for rule in spec["egress"] for port in rule.get("ports", [{"port": 0}])}
        if out != ports | {53}:
            faults.append(f"{name}: reaches {sorted(out)} instead of {sorted(ports | {53})}")
        if any("from" not in rule or not rule["from"] for rule in spec["ingress"]):
            faults.append(f"{name}: anybody may come in")
    return faults


# -- what holds for all values ------------------------------------------------------------------


def test_five_sets_of_values() -> None:
    assert SETS == ["minimal", "no-monitoring", "production", "strimzi", "trial"]


@pytest.mark.parametrize("name", SETS)
def test_lint_is_clean(name: str) -> None:
    report = helm.lint(CHART, values_of(name), strict=True)
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > 1] == []


def test_manifests_are_valid(docs: list[Doc]) -> None:
    assert schema_faults(docs) == []


def test_pods_are_restricted(docs: list[Doc]) -> None:
    assert security_faults(docs) == []


def test_references_lead_somewhere(docs: list[Doc]) -> None:
    assert reference_faults(docs) == []


def test_no_request_fails(docs: list[Doc]) -> None:
    assert sorted(workloads(docs)) == sorted(EGRESS)
    assert availability_faults(docs) == []


@pytest.mark.parametrize("name", ["minimal", "production"])
def test_somebody_answers_while_one_is_replaced(name: str) -> None:
    docs = render(values_of(name))
    scalers = kinds(docs, "HorizontalPodAutoscaler", "ScaledObject")
    for exposed in ("ingest", "predictor"):
        least = workloads(docs)[exposed]["spec"].get("replicas")
        if least is None:
            spec = scalers[exposed]["spec"]
            least = spec.get("minReplicas", spec.get("minReplicaCount"))
        assert least >= 2, exposed


def test_a_new_chart_alone_restarts_nothing(tmp_path: Path) -> None:
    chart = tmp_path / "tailrace"
    shutil.copytree(CHART, chart)
    about = chart / "Chart.yaml"
    about.write_text(about.read_text().replace("\nversion: ", "\nversion: 9"))
    before, after = (
        workloads(render(values_of("minimal"))),
        workloads(render(values_of("minimal"), chart)),
    )
    for name in EGRESS:
        assert before[name] != after[name]
        assert before[name]["spec"]["template"] == after[name]["spec"]["template"]


def test_no_secret_and_no_right_is_made(docs: list[Doc]) -> None:
    kinds_made = {doc["kind"] for doc in docs}
    assert not kinds_made & {"Secret", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
    for workload in workloads(docs).values():
        for name, value in env_of(workload).items():
            if re.search("PASSWORD|SECRET|ACCESS_KEY|USERNAME|TOKEN", name):
                by_user = name == "KAFKA_SASL_USERNAME" and "demo-tailrace-" in value
                assert by_user or "secretKeyRef" in value, name


def test_names_are_unique(docs: list[Doc]) -> None:
    names = [(doc["kind"], doc["metadata"]["name"]) for doc in docs]
    assert len(names) == len(set(names))


def test_names_stay_short() -> None:
    for doc in render(values_of("production"), name="r" * 53):
        room = 52 if doc["kind"] == "StatefulSet" else 63
        assert len(doc["metadata"]["name"]) <= room, doc["metadata"]["name"]


# -- the checks find what they are for ----------------------------------------------------------


def planted(docs: list[Doc], kind: str, name: str) -> tuple[list[Doc], Doc]:
    """A copy of the manifests, and one of them to spoil."""
    spoilt = copy.deepcopy(docs)
    return spoilt, kinds(spoilt, kind)[name]


def test_a_misspelt_field_is_found(minimal: list[Doc]) -> None:
    docs, predictor = planted(minimal, "Deployment", "predictor")
    predictor["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    assert "readynessProbe" in schema_faults(docs)[0]


def test_a_wrong_type_is_found(minimal: list[Doc]) -> None:
    docs, predictor = planted(minimal, "Deployment", "predictor")
    predictor["spec"]["replicas"] = "2"
    assert "'2' is not of type" in schema_faults(docs)[0]


def test_an_unknown_kind_is_found(minimal: list[Doc]) -> None:
    docs, predictor = planted(minimal, "Deployment", "predictor")
    predictor["kind"] = "Deploymint"
    assert "unknown kind" in schema_faults(docs)[0]


@pytest.mark.parametrize(
    ("name", "kind", "path", "value", "said"),
    [
        ("strimzi", "Kafka", "kafka.metricConfig", {"type": "x"}, "'metricConfig' was unexpected"),
        ("strimzi", "Kafka", "kafka.metricsConfig.type", "jmx", "'jmx' is not one of"),
        ("strimzi", "Kafka", "kafka.replicas", 3, "'replicas' was unexpected"),  # gone with v1
        ("strimzi", "KafkaNodePool", "roles", ["brokr"], "'brokr' is not one of"),
        ("strimzi", "KafkaTopic", "partitions", "8", "'8' is not of type 'integer'"),
        ("strimzi", "KafkaUser", "authorization.acl", [], "'acl' was unexpected"),
        ("strimzi", "PodMonitor", "selektor", {}, "'selektor' was unexpected"),
        ("production", "ServiceMonitor", "endpoints", {}, "is not of type 'array'"),
        ("production", "PrometheusRule", "group", [], "'group' was unexpected"),
        ("production", "ScaledObject", "maxReplicas", 3, "'maxReplicas' was unexpected"),
        ("production", "TriggerAuthentication", "secretTargetRef", {}, "is not of type 'array'"),
        ("production", "ExternalSecret", "target.creationPolicy", "Own", "'Own' is not one of"),
    ],
)
def test_a_fault_in_a_resource_of_an_operator_is_found(
    name: str, kind: str, path: str, value: Any, said: str
) -> None:
    docs = render(values_of(name))
    assert schema_faults(docs) == []
    *way, field = path.split(".")
    spot = next(doc for doc in docs if doc["kind"] == kind)["spec"]
    for step in way:
        spot = spot[step]
    spot[field] = value
    (fault, *_) = schema_faults(docs)
    assert fault.startswith(kind)
    assert said in fault


def test_a_removed_api_is_found(minimal: list[Doc]) -> None:
    docs, budget = planted(minimal, "PodDisruptionBudget", "predictor")
    budget["apiVersion"] = "policy/v1beta1"
    assert "unknown kind" in schema_faults(docs)[0]


@pytest.mark.parametrize("level", ["pod", "container"])
def test_a_missing_security_context_is_found(minimal: list[Doc], level: str) -> None:
    docs, predictor = planted(minimal, "Deployment", "predictor")
    pod = predictor["spec"]["template"]["spec"]
    del (pod if level == "pod" else pod["containers"][0])["securityContext"]
    assert security_faults(docs)


def test_missing_resources_are_found(minimal: list[Doc]) -> None:
    docs, predictor = planted(minimal, "Deployment", "predictor")
    del predictor["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert len(security_faults(docs)) == 2


@pytest.mark.parametrize("field", ["startupProbe", "readinessProbe", "lifecycle"])
def test_a_rude_ending_is_found(minimal: list[Doc], field: str) -> None:
    docs, predictor = planted(minimal, "Deployment", "predictor")
    pod = predictor["spec"]["template"]["spec"]
    del pod["containers"][0][field]
    pod["terminationGracePeriodSeconds"] = 15
    assert availability_faults(docs)


def test_a_missing_budget_is_found(minimal: list[Doc]) -> None:
    docs = [doc for doc in minimal if doc["kind"] != "PodDisruptionBudget"]
    assert len(availability_faults(docs)) == len(EGRESS)


def test_a_missing_default_deny_is_found(minimal: list[Doc]) -> None:
    docs = [doc for doc in minimal if not doc["metadata"]["name"].endswith("default-deny")]
    assert network_faults(docs) == ["no default deny"]


def test_a_way_out_too_many_is_found(minimal: list[Doc]) -> None:
    docs, policy = planted(minimal, "NetworkPolicy", "deployer")
    policy["spec"]["egress"].append({"ports": [{"port": 5000}]})
    assert network_faults(docs) == ["deployer: reaches [53, 5000, 9092] instead of [53, 9092]"]


def test_a_dangling_reference_is_found(minimal: list[Doc]) -> None:
    docs, service = planted(minimal, "Service", "predictor")
    service["spec"]["selector"]["app.kubernetes.io/component"] = "predicter"
    docs_too, trainer = planted(minimal, "StatefulSet", "trainer")
    trainer["spec"]["template"]["spec"]["volumes"].pop()
    assert reference_faults(docs)
    assert reference_faults(docs_too)


# -- values that are refused --------------------------------------------------------------------

SLOT = "not possible here: it owns its partitions by slot"
KEDA = {"enabled": True, "minReplicas": 1, "maxReplicas": 2, "lagThreshold": 10}


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"kafak": {}}, "additional properties 'kafak' not allowed"),
        ({"components": {"predictor": {"replica": 2}}}, "'replica' not allowed"),
        ({"components": {"predictor": {"replicas": "2"}}}, "got string, want integer"),
        ({"components": {"predictor": {"replicas": 0}}}, "minimum: got 0, want 1"),
        ({"components": {"trainer": {"keda": KEDA}}}, SLOT),
        ({"components": {"deployer": {"keda": KEDA}}}, SLOT),
        ({"components": {"drift-windows": {"keda": KEDA}}}, "counted in one place"),
        ({"components": {"drift-windows": {"replicas": 2}}}, "value must be 1"),
        ({"components": {"trainer": {"replicas": 2}}}, "value must be 1"),
        ({"components": {"deployer": {"replicas": 2}}}, "value must be 1"),
        ({"components": {"predictor": {"keda": KEDA}}}, "in no consumer group; use hpa"),
        ({"components": {"ingest": {"hpa": {}}}}, "its lag is what counts; use keda"),
        ({"components": {"trainer": {"slots": "member"}}}, "value must be 'partitions'"),
        ({"components": {"predictor": {"settings": {"DB_PASSWORD": "x"}}}}, "DB_PASSWORD"),
        ({"components": {"predictor": {"settings": {"REDIS_URL": "x"}}}}, "REDIS_URL"),
        ({"components": {"extra": {}}}, "additional properties 'extra' not allowed"),
        (
            {"components": {"predictor": {"resources": {"limits": {"memory": "1 GB"}}}}},
            "'1 GB' does not match pattern",
        ),
        ({"kafka": {"bootstrapServers": "http://kafka"}}, "does not match pattern"),
        ({"kafka": {"security": {"protocol": "TLS"}}}, "value must be one of 'PLAINTEXT'"),
        ({"kafka": {"replication": 0}}, "/kafka/replication"),
        ({"mlflow": {"url": "mlflow:5000"}}, "does not match pattern"),
        ({"lake": {"uri": "/lake"}}, "does not match pattern"),
        ({"image": {"digests": {"predictor": "latest"}}}, "'latest' does not match pattern"),
        ({"components": {"ingest": {"grpc": {"enabled": True}}}}, "only the predictor speaks gRPC"),
        ({"components": {"predictor": {"settings": {"GRPC_PORT": "1"}}}}, "GRPC_PORT"),
        (
            {"components": {"predictor": {"secretSettings": {"REDIS_URL": {}}}}},
            "REDIS_URL",
        ),
        (
            {"components": {"predictor": {"secretSettings": {"OVERRIDE_TOKEN": {"name": "x"}}}}},
            "missing property 'key'",
        ),
        ({"ingress": {"host": "http://models"}}, "does not match pattern"),
        ({"redis": {"url": "redis://:secret@redis"}}, "additional properties 'url' not allowed"),
    ],
)
def test_the_schema_refuses(over: Doc, message: str) -> None:
    with pytest.raises(helm.HelmValuesError, match=re.escape(message)):
        render(merged(values_of("minimal"), over))


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"kafka": {"bootstrapServers": ""}}, "kafka.bootstrapServers is empty"),
        ({"redis": {"urlSecret": {"name": ""}}}, "redis.urlSecret.name is empty"),
        ({"mlflow": {"enabled": True}}, "mlflow.url and mlflow.enabled: set one"),
        ({"mlflow": {"url": ""}}, "mlflow.url and mlflow.enabled: set one"),
        ({"lake": {"uri": ""}}, "lake.uri is empty"),
        ({"kafka": {"security": {"protocol": "SASL_SSL"}}}, "sasl.secret.name is empty"),
        ({"kafka": {"topics": {"enabled": True}}}, "kafka.topics.cluster is empty"),
        ({"externalSecrets": {"enabled": True}}, "externalSecrets.store.name is empty"),
        ({"ingress": {"enabled": True}}, "ingress.host is empty"),
        ({"ingress": {"enabled": True}}, "ingress.controller is empty"),
        (
            {
                "ingress": {"enabled": True, "grpc": {"host": "g.example.com"}},
                "components": {"predictor": {"grpc": {"enabled": False}}},
            },
            "ingress.grpc.host is set, but components.predictor.grpc.enabled is not",
        ),
        ({"s3": {"allowHttp": True}}, "s3.allowHttp is for an s3.endpoint"),
        (
            {"components": {"ingest": {"keda": {"enabled": True, "maxReplicas": 5}}}},
            "components.ingest.keda.maxReplicas=5 is more than kafka.partitions=4",
        ),
        (
            {"components": {"predictor": {"hpa": {"minReplicas": 20}}}},
            "minReplicas=20 is more than maxReplicas=10",
        ),
    ],
)
def test_values_that_do_not_fit_are_refused(over: Doc, message: str) -> None:
    with pytest.raises(helm.HelmRenderError, match=re.escape(message)):
        render(merged(values_of("minimal"), over))


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(helm.HelmRenderError) as refusal:
        render({})
    assert str(refusal.value).count("\n* ") == 4


def test_the_schema_describes_each_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    undescribed = []

    def walk(node: Doc, path: str) -> None:
        if node.get("type") == "object" and "properties" in node:
            assert node["additionalProperties"] is False or not path, path
        for name, child in node.get("properties", {}).items():
            target = schema["$defs"].get(child.get("$ref", "").removeprefix("#/$defs/"), {})
            if not {"description", "const"} & {**target, **child}.keys():
                undescribed.append(f"{path}.{name}")
            walk(child, f"{path}.{name}")

    walk({**schema, "properties": schema["properties"]}, "")
    walk(schema["$defs"]["component"], "component")
    # Those of the six components narrow the fields that $defs/component describes.
    assert [path for path in undescribed if not path.startswith(".components.")] == []
    assert values.keys() == schema["properties"].keys() - {"global"}


def test_the_readme_is_current() -> None:
    command = [sys.executable, str(ROOT / "helm" / "readme.py"), "--check"]
    subprocess.run(command, check=True)


# -- what each component gets -------------------------------------------------------------------


def test_ways_out_are_the_needs(minimal: list[Doc]) -> None:
    assert network_faults(minimal) == []


def test_ways_in(production: list[Doc]) -> None:
    def spaces(name: str) -> dict[str, set[str]]:
        return {
            rule["ports"][0]["port"]: {
                peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
                for peer in rule["from"]
                if "namespaceSelector" in peer
            }
            for rule in kinds(production, "NetworkPolicy")[name]["spec"]["ingress"]
        }

    callers = {"web", "ingress-nginx"}
    for name in EGRESS:
        expected = {
            "http": {"monitoring"} | (callers if name in ("predictor", "ingest") else set())
        }
        # Prometheus has no business on the port of gRPC.
        assert spaces(name) == expected | ({"grpc": callers} if name == "predictor" else {})


def test_without_an_ingress_its_controller_is_kept_out() -> None:
    closed = merged(values_of("production"), {"ingress": {"enabled": False}})
    docs = render(closed)
    assert kinds(docs, "Ingress") == {}
    assert "ingress-nginx" not in json.dumps(kinds(docs, "NetworkPolicy"))


def test_the_ingress_leads_to_what_the_services_serve_and_not_to_operations(
    production: list[Doc],
) -> None:
    ways = kinds(production, "Ingress")
    services = kinds(production, "Service")
    assert ways.keys() == {"http", "grpc"}
    led = {}
    for way in ways.values():
        assert way["spec"]["ingressClassName"] == "nginx"
        (rule,) = way["spec"]["rules"]
        assert way["spec"]["tls"] == [{"hosts": [rule["host"]], "secretName": "models-tls"}]
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            name = backend["name"].removeprefix("demo-tailrace-")
            ports = {port["name"] for port in services[name]["spec"]["ports"]}
            assert backend["port"]["name"] in ports
            led[path["path"]] = name
    http = {"/v1/datasets": "ingest", "/v1/labels": "ingest"}
    http |= dict.fromkeys(("/predict", "/health", "/v1/models", "/v2"), "predictor")
    assert led == {**http, "/inference.GRPCInferenceService": "predictor"}
    for operations in ("/metrics", "/livez", "/readyz", "/docs"):
        assert not any(operations.startswith(path) for path in led)
    annotations = ways["grpc"]["metadata"]["annotations"]
    assert annotations == {"nginx.ingress.kubernetes.io/backend-protocol": "GRPC"}
    code = "".join(
        path.read_text(encoding="utf-8")
        for service in ("predictor", "ingest")
        for path in (ROOT / "services" / service / "src").rglob("*.py")
    )
    for path in led:
        assert f'"{path}' in code or f'"{path.removeprefix("/")}' in code, f"nobody serves {path}"


def test_grpc_has_a_port_where_it_is_served(minimal: list[Doc], docs: list[Doc]) -> None:
    asked = kinds(docs, "Service")
    for name, workload in workloads(docs).items():
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        told = env_of(workload).get("GRPC_PORT")
        assert told == (str(ports["grpc"]) if "grpc" in ports else None)
        offered = {port["name"] for port in asked[name]["spec"]["ports"]}
        assert offered == ports.keys()
    (_, grpc) = kinds(minimal, "Service")["predictor"]["spec"]["ports"]
    assert (grpc["port"], grpc["appProtocol"]) == (8081, "kubernetes.io/h2c")
    off = render(values_of("no-monitoring"))
    assert [p["name"] for p in kinds(off, "Service")["predictor"]["spec"]["ports"]] == ["http"]


def test_peers_and_ports_of_ways_out(production: list[Doc]) -> None:
    rules = kinds(production, "NetworkPolicy")["predictor"]["spec"]["egress"]
    ways = {rule["ports"][0]["port"]: rule.get("to") for rule in rules if rule.get("to")}
    assert ways[9096] == [{"ipBlock": {"cidr": "10.1.0.0/16"}}]
    assert ways[6380] == [{"ipBlock": {"cidr": "10.2.0.0/16"}}]
    assert {53, 9096, 6380, 443, 4318} == {rule["ports"][0]["port"] for rule in rules}


def test_stores_of_the_trial_let_in_who_needs_them() -> None:
    policies = kinds(render(values_of("trial")), "NetworkPolicy")
    for store, port in (("valkey", REDIS), ("mlflow", MLFLOW)):
        spec = policies[store]["spec"]
        assert "egress" not in spec
        (rule,) = spec["ingress"]
        guests = {
            peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
            for peer in rule["from"]
        }
        assert guests == {name for name, ports in EGRESS.items() if port in ports}


def test_policies_can_be_left_out() -> None:
    assert kinds(render(values_of("no-monitoring")), "NetworkPolicy") == {}


def settings_of(path: Path) -> dict[str, set[str]]:
    """The fields of each settings class of a file, in capitals."""
    return {
        node.name: {
            field.target.id.upper()
            for field in node.body
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        }
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }


def test_no_service_loads_a_pickle(docs: list[Doc]) -> None:
    for name, workload in workloads(docs).items():
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        told = {each["name"]: each.get("value") for each in container["env"]}
        assert told["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false", name


def test_each_variable_is_a_setting_of_its_service(docs: list[Doc]) -> None:
    kit = ROOT / "libs" / "servicekit" / "src" / "servicekit"
    shared = [settings_of(kit / page) for page in ("settings.py", "access.py")]
    common = set().union(*(fields for classes in shared for fields in classes.values()))
    # Read by the libraries themselves.
    common |= {"HOME", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "FEAST_USAGE"}
    common |= {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION"}
    common |= {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "OMP_NUM_THREADS"}
    common |= {"AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP"}
    common |= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    for name, workload in workloads(docs).items():
        service = "drift-monitor" if name.startswith("drift-") else name
        folder = ROOT / "services" / service / "src" / service.replace("-", "_")
        classes = settings_of(folder / "settings.py")
        chosen = name.removeprefix("drift-").capitalize() + "Settings"
        unknown = env_of(workload).keys() - common - classes[chosen]
        assert unknown == set(), name


def test_slots(production: list[Doc]) -> None:
    slot = {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}
    found = workloads(production)
    for name in ("ingest", "trainer", "deployer", "drift-windows", "drift-watch"):
        assert found[name]["kind"] == "StatefulSet"
        assert env_of(found[name])["REPLICA_SLOT"] == slot
    for name, slots in (("trainer", 1), ("deployer", 1), ("drift-windows", 1)):
        assert found[name]["spec"]["replicas"] == slots
        assert env_of(found[name])["REPLICA_SLOTS"] == str(slots)
    # Those that KEDA scales must not be told of a number that it changes.
    for name in ("ingest", "drift-watch", "predictor"):
        assert "REPLICA_SLOTS" not in env_of(found[name])
        assert "replicas" not in found[name]["spec"]
    assert found["predictor"]["kind"] == "Deployment"
    assert "REPLICA_SLOT" not in env_of(found["predictor"])


def test_scaling(production: list[Doc]) -> None:
    hpa = kinds(production, "HorizontalPodAutoscaler")["predictor"]["spec"]
    assert hpa["scaleTargetRef"]["name"] == "demo-tailrace-predictor"
    assert (hpa["minReplicas"], hpa["maxReplicas"]) == (3, 30)
    assert hpa["metrics"][1]["pods"]["metric"] == {"name": "predictions_in_flight"}
    scaled = kinds(production, "ScaledObject")
    assert scaled.keys() == {"ingest", "drift-watch"}
    for name, topic in (("ingest", "record.received"), ("drift-watch", "prediction.logged")):
        assert scaled[name]["spec"]["scaleTargetRef"]["name"] == f"demo-tailrace-{name}"
        (trigger,) = scaled[name]["spec"]["triggers"]
        assert trigger["metadata"]["topic"] == topic
        assert (trigger["metadata"]["sasl"], trigger["metadata"]["tls"]) == (
            "scram_sha512",
            "enable",
        )
        assert trigger["authenticationRef"]["name"] == f"demo-tailrace-{name}"
    # Strings, or KEDA refuses the resource.
    metadata = [t["metadata"] for s in scaled.values() for t in s["spec"]["triggers"]]
    assert all(isinstance(value, str) for each in metadata for value in each.values())
    auths = kinds(production, "TriggerAuthentication")
    assert auths.keys() == scaled.keys()


def test_groups_and_their_topics_are_those_of_the_services() -> None:
    components = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["components"]
    watch = (ROOT / "services/drift-monitor/src/drift_monitor/settings.py").read_text()
    assert f'watch_group: str = "{components["drift-watch"]["consumer"]["group"]}"' in watch
    ingest = (ROOT / "services/ingest/src/ingest/app.py").read_text(encoding="utf-8")
    assert re.search(r'SinkLoop\(\s*"ingest",', ingest)
    lake = (ROOT / "services/ingest/src/ingest/adapters/delta_lake.py").read_text(encoding="utf-8")
    assert re.search(
        r"^TOPIC = (\"record.received\"|RecordReceived.topic\(\))$", lake, re.MULTILINE
    )
    assert components["ingest"]["consumer"] == {"group": "ingest", "topics": ["record.received"]}


def test_who_writes_where(production: list[Doc]) -> None:
    found = workloads(production)
    folders = {
        "predictor": ("MODEL_CACHE", "SPOOL_DIR"),
        "trainer": ("WORK_DIR",),
        "drift-windows": ("REPORT_DIR",),
    }
    for name, workload in found.items():
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        mounts = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
        own = {env_of(workload)[variable] for variable in folders.get(name, ())}
        assert mounts == {"/tmp"} | own, name
    (claim,) = found["drift-windows"]["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "gp3"


def test_images(production: list[Doc]) -> None:
    images = {
        name: workload["spec"]["template"]["spec"]["containers"][0]["image"]
        for name, workload in workloads(production).items()
    }
    assert images["predictor"] == f"ghcr.io/tailrace/predictor@sha256:{'0' * 64}"
    assert images["drift-watch"] == "ghcr.io/tailrace/drift-monitor:0.1.0"
    trainer = workloads(production)["trainer"]["spec"]["template"]["spec"]
    (copying,) = trainer["initContainers"]
    assert copying["image"] == "registry.example.com/models:2026-11"
    assert env_of(workloads(production)["trainer"])["MODELS_DIR"] == "/models"


def test_each_component_is_scraped(production: list[Doc], minimal: list[Doc]) -> None:
    monitors = kinds(production, "ServiceMonitor")
    services = kinds(production, "Service")
    assert monitors.keys() == EGRESS.keys()
    for name, monitor in monitors.items():
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        assert [n for n, s in services.items() if wanted <= s["metadata"]["labels"].items()] == [
            name
        ]
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        # ServiceDown and the dashboards know the platform by it.
        (endpoint,) = monitor["spec"]["endpoints"]
        assert {"targetLabel": "part_of", "replacement": "tailrace"} in endpoint["relabelings"]
    assert not kinds(minimal, "ServiceMonitor", "PrometheusRule", "ConfigMap")


def test_rules_and_dashboards_are_embedded(tmp_path: Path) -> None:
    chart = tmp_path / "tailrace"
    shutil.copytree(CHART, chart, ignore=shutil.ignore_patterns("files"))
    values = values_of("production")
    assert not kinds(render(values, chart), "PrometheusRule", "ConfigMap")
    rule = {"alert": "A", "expr": "up == 0", "annotations": {"summary": "{{ $labels.job }} {{ x"}}
    rules = {"groups": [{"name": "g", "rules": [rule]}]}
    for folder, name, content in (
        ("rules", "loop.yaml", yaml.safe_dump(rules)),
        ("dashboards", "loop.json", '{"title": "a\\n{{x}}"}'),
    ):
        (chart / "files" / folder).mkdir(parents=True)
        (chart / "files" / folder / name).write_text(content)
    docs = render(values, chart)
    assert kinds(docs, "PrometheusRule")["rules-loop"]["spec"] == rules
    board = kinds(docs, "ConfigMap")["dashboard-loop"]
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["loop.json"]) == {"title": "a\n{{x}}"}
    assert schema_faults(docs) == []


def test_rules_of_the_chart_are_installed(production: list[Doc]) -> None:
    for kind, pattern in (
        ("PrometheusRule", "files/rules/*.yaml"),
        ("ConfigMap", "files/dashboards/*.json"),
    ):
        assert len(kinds(production, kind)) == len(list(CHART.glob(pattern)))


def test_external_secrets_make_what_the_values_name(production: list[Doc]) -> None:
    secrets = {doc["metadata"]["name"]: doc["spec"] for doc in production
               if doc["kind"] == "ExternalSecret"}  # fmt: skip
    assert secrets.keys() == {
        f"tailrace-{name}" for name in ("redis", "kafka", "mlflow", "testers")
    }
    for name, spec in secrets.items():
        assert spec["target"] == {"name": name, "creationPolicy": "Owner"}
        assert spec["secretStoreRef"] == {"kind": "ClusterSecretStore", "name": "vault"}
    made = {(name, item["secretKey"]) for name, spec in secrets.items() for item in spec["data"]}
    used = {
        (value["secretKeyRef"]["name"], value["secretKeyRef"]["key"])
        for workload in workloads(production).values()
        for value in env_of(workload).values()
        if "secretKeyRef" in value
    }
    assert used == made


# -- Kafka --------------------------------------------------------------------------------------


def test_strimzi() -> None:
    docs = render(values_of("strimzi"))
    (pool,) = kinds(docs, "KafkaNodePool").values()
    kafka = next(doc for doc in docs if doc["kind"] == "Kafka")
    assert pool["spec"]["replicas"] == 3
    assert pool["metadata"]["labels"]["strimzi.io/cluster"] == kafka["metadata"]["name"]
    assert pool["spec"]["storage"]["volumes"][0]["deleteClaim"] is False
    config = kafka["spec"]["kafka"]["config"]
    assert (config["default.replication.factor"], config["min.insync.replicas"]) == (3, 2)
    (listener,) = kafka["spec"]["kafka"]["listeners"]
    assert listener["tls"] is True
    for doc in docs:
        if doc["kind"] in ("Kafka", "KafkaNodePool", "KafkaTopic"):
            assert doc["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    env = env_of(workloads(docs)["deployer"])
    assert env["KAFKA_BOOTSTRAP_SERVERS"] == "demo-tailrace-kafka-bootstrap.ml.svc:9093"
    assert env["KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"
    assert kafka["spec"]["kafka"]["authorization"] == {"type": "simple"}
    (way,) = [
        rule
        for rule in kinds(docs, "NetworkPolicy")["deployer"]["spec"]["egress"]
        if rule["ports"] == [{"port": 9093}]
    ]
    assert way["to"][0]["podSelector"]["matchLabels"]["strimzi.io/kind"] == "Kafka"


def test_the_metrics_of_strimzis_brokers_are_served_and_scraped(minimal: list[Doc]) -> None:
    docs = render(values_of("strimzi"))
    kafka = next(doc for doc in docs if doc["kind"] == "Kafka")
    assert kafka["spec"]["kafka"]["metricsConfig"] == {"type": "strimziMetricsReporter"}
    monitor = kinds(docs, "PodMonitor")["kafka"]["spec"]
    wanted = {"strimzi.io/cluster": kafka["metadata"]["name"], "strimzi.io/kind": "Kafka"}
    assert monitor["selector"]["matchLabels"] == wanted
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["port"] == "tcp-prometheus"
    some = {"kafka": {"strimzi": {"metrics": {"allowList": ["kafka_server_.*"]}}}}
    picky = render(merged(values_of("strimzi"), some))
    (told,) = [d["spec"]["kafka"]["metricsConfig"] for d in picky if d["kind"] == "Kafka"]
    assert told["values"] == {"allowList": ["kafka_server_.*"]}
    assert schema_faults(picky) == []
    for off in (minimal, render(values_of("trial"))):
        assert kinds(off, "PodMonitor") == {}
        assert "metricsConfig" not in json.dumps(off)


@pytest.mark.parametrize(
    ("name", "protocol", "secrets"),
    [
        (
            "production",
            ("scram_sha512", "enable"),
            {
                "ca": ("kafka-ca", "ca.crt"),
                "cert": ("tailrace-kafka-client", "tls.crt"),
                "key": ("tailrace-kafka-client", "tls.key"),
            },
        ),
        (
            "strimzi",
            ("scram_sha512", "enable"),
            {"ca": ("demo-tailrace-cluster-ca-cert", "ca.crt")},
        ),
    ],
)
def test_keda_signs_in_at_the_brokers_as_the_service_that_it_scales(
    name: str, protocol: tuple[str, str], secrets: dict[str, tuple[str, str]]
) -> None:
    docs = render(values_of(name))
    auths = kinds(docs, "TriggerAuthentication")
    scaled = kinds(docs, "ScaledObject")
    assert "drift-watch" in scaled
    for component, scaler in scaled.items():
        (trigger,) = scaler["spec"]["triggers"]
        assert (trigger["metadata"]["sasl"], trigger["metadata"]["tls"]) == protocol
        assert trigger["authenticationRef"]["name"] == f"demo-tailrace-{component}"
        spec = auths[component]["spec"]
        found = {s["parameter"]: (s["name"], s["key"]) for s in spec["secretTargetRef"]}
        assert found == secrets
        env = env_of(workloads(docs)[component])
        asked = {e["parameter"]: e["name"] for e in spec["env"]}
        assert asked == {"username": "KAFKA_SASL_USERNAME", "password": "KAFKA_SASL_PASSWORD"}
        assert env["KAFKA_SASL_PASSWORD"]["secretKeyRef"]["name"]
        assert {e["containerName"] for e in spec["env"]} == {component}
        # It asks for the lag of the group, which the rights of that user have to allow.
        rights = yaml.safe_load((CHART / "rights.yaml").read_text())
        image = workloads(docs)[component]["spec"]["template"]["spec"]["containers"][0]["image"]
        user = image.rpartition("/")[2].split(":")[0]
        may = [r["resource"] for r in rights[user] if "Describe" in r["operations"]]
        metadata = trigger["metadata"]
        assert {"type": "topic", "name": metadata["topic"], "patternType": "literal"} in may
        assert any(
            r["type"] == "group" and metadata["consumerGroup"].startswith(r["name"]) for r in may
        )


def test_each_service_has_a_kafka_user_with_its_own_rights() -> None:
    docs = render(values_of("strimzi"))
    users = {doc["metadata"]["name"]: doc["spec"] for doc in docs if doc["kind"] == "KafkaUser"}
    rights = yaml.safe_load((CHART / "rights.yaml").read_text())
    assert users.keys() == {f"demo-tailrace-{user}" for user in rights}
    for user, acls in rights.items():
        assert users[f"demo-tailrace-{user}"]["authorization"] == {"type": "simple", "acls": acls}
    used = set()
    for workload in workloads(docs).values():
        env = env_of(workload)
        if "KAFKA_BOOTSTRAP_SERVERS" in env:
            used.add(env["KAFKA_SASL_USERNAME"])
            secret = env["KAFKA_SASL_PASSWORD"]["secretKeyRef"]["name"]
            assert secret == env["KAFKA_SASL_USERNAME"]
    assert used == users.keys() - {"demo-tailrace-people"}
    writable = {
        acl["resource"]["name"]
        for acl in users["demo-tailrace-predictor"]["authorization"]["acls"]
        if "Write" in acl["operations"]
    }
    assert writable == {"prediction.logged", "predictor.dead"}, "it faces the world"


def test_one_node_has_one_copy() -> None:
    kafka = next(doc for doc in render(values_of("trial")) if doc["kind"] == "Kafka")
    assert kafka["spec"]["kafka"]["config"]["min.insync.replicas"] == 1


def test_topics_are_those_of_the_contracts(production: list[Doc]) -> None:
    topics = {doc["spec"]["topicName"]: doc for doc in production if doc["kind"] == "KafkaTopic"}
    channels = json.loads((ROOT / "schemas" / "asyncapi.json").read_text())["channels"].values()
    contracts = {
        kafka["topic"]: kafka["topicConfiguration"]["cleanup.policy"]
        for kafka in (channel["bindings"]["kafka"] for channel in channels)
    }
    retention = {
        kafka["topic"]: kafka["topicConfiguration"].get("retention.ms")
        for kafka in (channel["bindings"]["kafka"] for channel in channels)
    }
    dead = {name for name in topics if name.endswith(".dead")}
    assert topics.keys() - dead == contracts.keys()
    for name, policy in contracts.items():
        config = topics[name]["spec"].get("config", {})
        assert [config.get("cleanup.policy", "delete")] == policy, name
    volumes = {"record.received", "prediction.logged", "label.arrived", "score.requested"}
    assert {n for n, doc in topics.items() if doc["spec"]["partitions"] == 12} == volumes
    assert {doc["spec"]["partitions"] for doc in topics.values()} == {1, 12}
    for name, kept in retention.items():
        assert topics[name]["spec"]["config"].get("retention.ms") == kept, name
    assert {doc["spec"]["config"]["min.insync.replicas"] for doc in topics.values()} == {2}
    assert {doc["spec"]["replicas"] for doc in topics.values()} == {3}
    assert {doc["metadata"]["namespace"] for doc in topics.values()} == {"kafka"}


def test_dead_letters_are_those_of_the_loops() -> None:
    topics = yaml.safe_load((CHART / "topics.yaml").read_text(encoding="utf-8"))
    loops = {
        path.relative_to(ROOT / "services").parts[0]
        for path in (ROOT / "services").glob("*/src/**/*.py")
        if re.search(r"TransactionalLoop|SinkLoop|JobLoop", path.read_text(encoding="utf-8"))
    }
    assert {n.removesuffix(".dead") for n in topics if n.endswith(".dead")} == loops


def test_state_topics_are_left_to_the_services() -> None:
    # An operator that added partitions would silence a service that refuses other slots.
    assert not [name for name in (CHART / "topics.yaml").read_text().splitlines()
                if re.match(r"\S+\.state:", name)]  # fmt: skip


# -- installing it ------------------------------------------------------------------------------


def test_the_package_holds_what_it_needs(tmp_path: Path) -> None:
    archive = helm.package(CHART, destination=tmp_path)
    with tarfile.open(archive) as tar:
        names = {name.removeprefix("tailrace/") for name in tar.getnames()}
    assert {"Chart.yaml", "values.schema.json", "topics.yaml", "ready.py", "README.md"} <= names
    assert not any(name.startswith("ci/") for name in names)
    assert render(values_of("production"), Path(archive)) == render(values_of("production"))


def test_notes() -> None:
    with helm.Chart.load(CHART) as chart:
        notes = chart.render(values_of("trial"), name="demo", namespace="ml")
    text = notes["tailrace/templates/NOTES.txt"]
    assert "helm test demo -n ml" in text
    assert "are for trials" in text
    assert "{{" not in text


def test_helm_test_asks_each_component(minimal: list[Doc]) -> None:
    (pod,) = kinds(minimal, "Pod").values()
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = pod["spec"]["containers"]
    targets = container["env"][0]["value"].split()
    services = {doc["metadata"]["name"] for doc in minimal if doc["kind"] == "Service"}
    assert set(targets) == services
    policies = kinds(minimal, "NetworkPolicy")
    labels = pod["metadata"]["labels"]
    assert policies["test"]["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    for name in EGRESS:
        rule = policies[name]["spec"]["ingress"][0]
        guest = rule["from"][0]["podSelector"]["matchLabels"]
        assert guest.items() <= labels.items()


def test_the_script_of_helm_test_waits_until_all_are_ready() -> None:
    answers = iter([503, 200])

    class Readyz(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(answers) if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Readyz) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        done = subprocess.run(
            [sys.executable, CHART / "ready.py"],
            env={"TARGETS": address},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        server.shutdown()
    assert done.stdout == f"{address} 200\n"


def test_the_application_of_argo_cd_fits_the_chart() -> None:
    text = (ROOT / "helm" / "argocd" / "application.yaml").read_text(encoding="utf-8")
    application = yaml.safe_load(text)
    assert (application["apiVersion"], application["kind"]) == (
        "argoproj.io/v1alpha1",
        "Application",
    )
    source = application["spec"]["source"]
    assert (ROOT / source["path"]) == CHART
    docs = render(source["helm"]["valuesObject"])
    assert schema_faults([application, *docs]) == []
    assert security_faults(docs) == []
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["version"]
    assert source["targetRevision"] == f"v{version}"
