# ruff: noqa: T201 - it is a command
"""Writes the schemas of the operators' kinds that the chart makes: run it for new versions.

    python tests/artifacts/operators/fetch.py        # needs Go, Java 17 with javac, and Maven

Those of Go projects are in their modules (`go mod download`); Strimzi has its own in the
annotations of its API classes, which StrimziSchemas.java reads. All are under the Apache License
2.0. What only tells (descriptions) is left out.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
STRIMZI = "0.49.0"
MODULES = {
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
    "github.com/kedacore/keda/v2@v2.17.2": (
        "config/crd/bases/keda.sh_scaledobjects.yaml",
        "config/crd/bases/keda.sh_triggerauthentications.yaml",
    ),
    "github.com/external-secrets/external-secrets@v0.20.4": (
        "config/crds/bases/external-secrets.io_externalsecrets.yaml",
    ),
    "github.com/argoproj/argo-cd/v3@v3.1.0": ("manifests/crds/application-crd.yaml",),
}
KINDS_OF_STRIMZI = ("kafka.Kafka", "nodepool.KafkaNodePool", "topic.KafkaTopic", "user.KafkaUser")
POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>tailrace.checks</groupId><artifactId>strimzi</artifactId><version>1</version>
<packaging>pom</packaging><dependencies><dependency><groupId>io.strimzi</groupId>
<artifactId>api</artifactId><version>{STRIMZI}</version><exclusions>
<exclusion><groupId>io.strimzi</groupId><artifactId>test</artifactId></exclusion>
<exclusion><groupId>io.strimzi</groupId><artifactId>crd-generator</artifactId></exclusion>
</exclusions></dependency></dependencies></project>"""
# Not on Maven Central; without a class of this name Java does not show the annotation.
PRESENT = """package io.strimzi.crdgenerator.annotations;
@java.lang.annotation.Retention(java.lang.annotation.RetentionPolicy.RUNTIME)
public @interface PresentInVersions { String value(); }"""


def terse(node: Any) -> Any:
    """A schema without what only tells."""
    if isinstance(node, dict):
        return {
            key: terse(value)
            for key, value in node.items()
            if not (key == "description" and isinstance(value, str))
        }
    return [terse(each) for each in node] if isinstance(node, list) else node


def from_go() -> dict[str, Any]:
    """The schema of each version of each kind in the modules, by `group/version/kind`."""
    found = {}
    for module, files in MODULES.items():
        told = subprocess.run(
            ["go", "mod", "download", "-json", module], check=True, capture_output=True, text=True
        )
        folder = Path(json.loads(told.stdout)["Dir"])
        for file in files:
            spec = yaml.safe_load((folder / file).read_text(encoding="utf-8"))["spec"]
            for version in spec["versions"]:
                if version["served"]:
                    name = f"{spec['group']}/{version['name']}/{spec['names']['kind']}"
                    schema = version["schema"]["openAPIV3Schema"]
                    schema["properties"].pop("status", None)
                    found[name] = terse(schema)
    return found


def from_maven() -> dict[str, Any]:
    """Those of Strimzi's API v1."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        (folder / "pom.xml").write_text(POM)
        copy = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={work}/lib"]
        subprocess.run(copy, cwd=folder, check=True)
        (folder / "PresentInVersions.java").write_text(PRESENT)
        subprocess.run(
            ["javac", "-d", folder / "stub", folder / "PresentInVersions.java"], check=True
        )
        told = subprocess.run(
            [
                *("java", "-cp", f"{work}/lib/*:{work}/stub", HERE / "StrimziSchemas.java"),
                *KINDS_OF_STRIMZI,
            ],
            check=True,
            capture_output=True,
            text=True,
        )
    return {f"kafka.strimzi.io/v1/{kind}": each for kind, each in json.loads(told.stdout).items()}


def main() -> None:
    """Write one file for each kind, and remove those of kinds that are not named any more."""
    found = {**from_go(), **from_maven()}
    for path in HERE.glob("*.json"):
        path.unlink()
    for name, schema in sorted(found.items()):
        path = HERE / f"{name.replace('/', '_')}.json"
        path.write_text(json.dumps(schema, sort_keys=True, separators=(",", ":")) + "\n")
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    sys.exit(main())
