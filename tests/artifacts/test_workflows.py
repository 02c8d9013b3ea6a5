"""The pipelines: their syntax, their safety, and that nothing secret lies in the history."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yaml"))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_well_formed(run, file: Path) -> None:
    assert (done := run("actionlint", file)).returncode == 0, done.stdout
    schema = ("check-jsonschema", "--builtin-schema", "vendor.github-workflows")
    assert (done := run(*schema, file)).returncode == 0, done.stdout


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_gives_nothing_away(run, file: Path) -> None:
    done = run("zizmor", "--offline", "--no-progress", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_planted_fault_in_a_workflow_is_found(run, tmp_path: Path) -> None:
    fault = tmp_path / "fault.yaml"
    fault.write_text(
        "on: pull_request_target\n"
        "jobs:\n"
        "  a:\n"
        "    runs-on: ubuntu-24.04\n"
        "    needs: b\n"
        "    steps:\n"
        "      - run: echo ${{ github.event.pull_request.title }}\n"
    )
    done = run("actionlint", fault)
    assert done.returncode != 0
    assert "undefined" in done.stdout or "not exist" in done.stdout
    assert run("zizmor", "--offline", "--no-progress", fault).returncode != 0


def test_no_secret_lies_in_the_files_that_are_tracked(run, tmp_path: Path) -> None:
    done = run("gitleaks", "git", "--no-banner", "--redact", str(ROOT))
    assert done.returncode == 0, done.stdout + done.stderr
    # The planted one is put together here, or it would be found in this file.
    (tmp_path / "settings.py").write_text(
        'token = "ghp_' + "a8Kd9Lm2Qw7Er5Ty1Ui3Op6As4Df0Gh2Jk9L" + '"\n'
    )
    found = run("gitleaks", "dir", "--no-banner", "--redact", str(tmp_path))
    assert found.returncode == 1, found.stdout + found.stderr
