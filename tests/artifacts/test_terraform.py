"""The Terraform module: its form, its variables, and that its values are those of the chart."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import hcl2
import helm_python as helm
import pytest
from hcl2.utils import SerializationOptions

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "terraform"
GOOD = {
    "kafka_bootstrap_servers": "kafka.data.svc:9092",
    "redis_secret": "tailrace-redis",
    "mlflow_url": "http://mlflow.ml.svc:5000",
    "bucket": "my-tailrace",
}

PROVIDER = Path(sys.executable).parent / "terraform-provider-helm"
"""Built from `helm_provider`: Terraform's registry cannot be reached from everywhere."""

needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None, reason="terraform is not installed"
)


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    return subprocess.run(
        ["terraform", f"-chdir={folder}", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_parses() -> None:
    options = SerializationOptions(strip_string_quotes=True)
    files = sorted(MODULE.glob("*.tf"))
    assert [path.stem for path in files] == ["main", "outputs", "variables", "versions"]
    bodies = {
        path.stem: hcl2.loads(path.read_text(), serialization_options=options) for path in files
    }
    for block in bodies["variables"]["variable"]:
        ((name, body),) = [(key, value) for key, value in block.items() if not key.startswith("__")]
        assert body["description"], name
        assert body["type"], name
    assert "resource" in bodies["main"]


def test_a_broken_file_does_not_parse() -> None:
    with pytest.raises(Exception, match="Unexpected"):
        hcl2.loads('variable "x" {\n  type = \n}\n')


@needs_terraform
def test_its_form() -> None:
    checked = terraform(MODULE, "fmt", "-check", "-diff", "-recursive")
    assert checked.returncode == 0, checked.stdout


@needs_terraform
def test_a_file_that_is_not_in_form_is_found(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('locals {\n a   = "b"\n}\n')
    checked = terraform(tmp_path, "fmt", "-check", "-diff")
    assert checked.returncode != 0
    assert 'a = "b"' in checked.stdout


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the module that is read with the provider that was built for it."""
    if not PROVIDER.is_file():
        pytest.skip(f"no {PROVIDER.name} beside Python: make check-artifacts builds it by Go")
    settings = tmp_path / "terraform.rc"
    settings.write_text(
        "provider_installation {\n"
        f'  dev_overrides {{\n    "hashicorp/helm" = {json.dumps(str(PROVIDER.parent))}\n  }}\n'
        "}\n"
    )
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(settings))
    folder = tmp_path / "terraform"
    shutil.copytree(MODULE, folder, ignore=shutil.ignore_patterns(".terraform*"))
    return folder


@needs_terraform
def test_it_validates(module: Path) -> None:
    validated = terraform(module, "validate", "-no-color")
    assert validated.returncode == 0, validated.stdout + validated.stderr


@needs_terraform
@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("atomic  = true", "atomik  = true", 'An argument named "atomik" is not expected here'),
        ("timeout = var.timeout_seconds", 'timeout = "long"', "a number is required"),
        ("var.namespace", "var.name_space", 'variable with the name "name_space"'),
    ],
)
def test_what_the_provider_does_not_take_is_found(
    module: Path, right: str, wrong: str, told: str
) -> None:
    main = module / "main.tf"
    text = main.read_text(encoding="utf-8")
    assert right in text
    main.write_text(text.replace(right, wrong), encoding="utf-8")
    validated = terraform(module, "validate", "-no-color")
    assert validated.returncode == 1
    assert told in " ".join(validated.stderr.split())


@needs_terraform
def test_it_plans_the_release_of_the_chart(module: Path) -> None:
    chart = ROOT / "helm" / "tailrace"
    planned = plan(module, chart=str(chart), namespace="ml")
    assert planned.returncode == 0, planned.stderr
    assert "Plan: 1 to add, 0 to change, 0 to destroy." in planned.stdout
    # The provider has read the chart: its version stands nowhere in the module.
    version = helm.values_from_yaml((chart / "Chart.yaml").read_text(encoding="utf-8"))["version"]
    assert re.search(rf'version +=  *"{re.escape(str(version))}"', planned.stdout)
    assert 'predictor_url = "http://tailrace-predictor.ml.svc"' in planned.stdout


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module's variables alone, and the values that it makes of them: no provider is needed."""
    folder = tmp_path_factory.mktemp("variables")
    shutil.copy(MODULE / "variables.tf", folder)
    main = (MODULE / "main.tf").read_text(encoding="utf-8")
    made = re.search(r"^  values = (\[.*?^  \])", main, re.DOTALL | re.MULTILINE)
    assert made
    (folder / "values.tf").write_text(f'output "values" {{\n  value = {made[1]}\n}}\n')
    started = terraform(folder, "init", "-no-color")
    assert started.returncode == 0, started.stderr
    return folder


def plan(folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    arguments = [f"-var={name}={value}" for name, value in {**GOOD, **given}.items()]
    return terraform(folder, "plan", "-no-color", "-input=false", *arguments)


@needs_terraform
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "Tailrace"),
        ("name", "a" * 30),
        ("namespace", "my_space"),
        ("chart_version", "~> 1"),
        ("kafka_bootstrap_servers", "kafka"),
        ("redis_secret", "redis://:secret@redis:6379/0"),
        ("mlflow_url", "mlflow:5000"),
        ("bucket", "s3://bucket/lake"),
        ("timeout_seconds", "5"),
    ],
)
def test_a_wrong_variable_fails_the_plan(variables: Path, name: str, value: str) -> None:
    refused = plan(variables, **{name: value})
    assert refused.returncode == 1
    assert f"{name}: " in refused.stderr


@needs_terraform
def test_its_values_are_the_charts(variables: Path) -> None:
    applied = terraform(
        variables,
        "apply",
        "-auto-approve",
        "-no-color",
        f"-state={variables / 'state'}",
        *[f"-var={name}={value}" for name, value in GOOD.items()],
    )
    assert applied.returncode == 0, applied.stderr
    told = terraform(variables, "output", f"-state={variables / 'state'}", "-json", "values")
    first, second = (helm.values_from_yaml(text) for text in json.loads(told.stdout))
    assert second == {}
    with helm.Chart.load(ROOT / "helm" / "tailrace") as chart:
        assert chart.render(first, name="tailrace", namespace="tailrace")
