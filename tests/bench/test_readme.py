"""The page of the benchmarks names every one, and `make bench` runs those that are small."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
README = (BENCH / "README.md").read_text()
ROWS = re.findall(r"^\| \[`(.+?)`\]\((.+?)\) \|.* \| `(.+?)` \|(.*)\|.*\|$", README, re.MULTILINE)


def test_every_benchmark_has_a_row() -> None:
    programs = {path.parent.name for path in BENCH.glob("*/__main__.py")} - {"regression"}
    scripts = {
        path.relative_to(BENCH).as_posix()
        for path in BENCH.glob("*/*.py")
        if path.stem != "__main__" and '__name__ == "__main__"' in path.read_text()
    }
    # These are started by the benchmark that they belong to.
    parts = {
        "kit/loops.py",
        "scoring/by_hand.py",
        "serving/environment.py",
        "serving/floor_app.py",
    }
    assert {name for name, *_ in ROWS} == programs | (scripts - parts)
    assert all(name == link and (BENCH / link).exists() for name, link, *_ in ROWS)


def test_every_command_runs_something_that_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for _, link, command, _ in ROWS:
        verb, _, rest = command.partition(" ")
        if verb == "make":
            assert re.search(rf"^{rest.split()[0]}:", makefile, re.MULTILINE), command
        else:
            module = command.split()[-1].replace(".", "/")
            assert module == f"bench/{link.removesuffix('.py')}", command


def test_every_committed_result_is_named_where_it_is_made() -> None:
    named = {name for *_, result in ROWS for name in re.findall(r"results/(\w+\.json)", result)}
    assert named == {path.name for path in (BENCH / "results").glob("*.json")}


def test_make_bench_runs_the_small_benchmarks_by_name() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (named,) = re.findall(r"^SMALL +:= (.+)$", makefile, re.MULTILINE)
    small = {path.stem for path in (BENCH / "small").glob("*.py")} - {"__init__"}
    assert set(named.split()) == small
