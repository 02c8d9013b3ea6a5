"""What a program reaches is found in planted texts, whatever way the code takes there."""

import pytest
from tests.architecture.reachable import Program


def reached(**sources: str) -> set[str]:
    """The pieces that `main` of the module `start` reaches, as `module.name`."""
    program = Program(sources, [("start", "main")])
    return {f"{module}.{name}" for module, name in program.reached if name}


@pytest.mark.parametrize(
    "start",
    [
        "from other import go\ndef main(): go()",
        "import other\ndef main(): other.go()",
        "import other as o\ndef main(): o.go()",
        "def main():\n    from other import go as g\n    g()",
        "from other import go\ndef main(): later(go)",
        "from other import go\nTABLE = {'x': go}\ndef main(): pass",
        "def main(): import_module('other')",
    ],
)
def test_a_function_is_reached_however_it_is_named(start: str) -> None:
    assert "other.go" in reached(start=start, other="def go(): pass")


@pytest.mark.parametrize(
    "start",
    [
        "def main(): pass",
        "import other\ndef main(): pass",
        "from other import go\ndef main(): pass\ndef dead(): go()",
        "from other import go\ndef main(x: go) -> go: pass",
        "if TYPE_CHECKING:\n    from other import go\n    go()\ndef main(): pass",
    ],
)
def test_a_function_that_nothing_names_is_not_reached(start: str) -> None:
    assert "other.go" not in reached(start=start, other="def go(): pass")


def test_a_name_is_followed_through_what_imports_it_on() -> None:
    found = reached(
        start="from pack import go\ndef main(): go()",
        pack="from pack.inner import go",
        **{"pack.inner": "def go(): pass"},
    )
    assert found == {"start.main", "pack.inner.go"}


def test_two_functions_may_import_one_name_from_two_modules() -> None:
    found = reached(
        start="def main():\n    from a import go\n    go()\n    b()\n"
        "def b():\n    from b import go\n    go()",
        a="def go(): pass",
        b="def go(): pass",
    )
    assert {"a.go", "b.go"} <= found


def test_a_method_is_reached_when_its_class_is_and_somebody_names_it() -> None:
    other = (
        "class A:\n    def __init__(self): pass\n    def go(self): pass\n    def dead(self): pass"
    )
    found = reached(start="from other import A\ndef main(): A().go()", other=other)
    assert found == {"start.main", "other.A", "other.A.__init__", "other.A.go"}


@pytest.mark.parametrize(("base", "called"), [("asyncio.Protocol", True), ("Protocol", False)])
def test_a_base_of_another_library_may_call_what_overrides_it(base: str, called: bool) -> None:
    other = f"import asyncio\nclass A({base}):\n    def data_received(self): pass"
    found = reached(start="from other import A\ndef main(): A()", other=other)
    assert ("other.A.data_received" in found) is called


def test_a_function_that_a_decorator_registers_is_reached() -> None:
    other = "app = Typer()\n@app.command()\ndef go(): pass\n@cache\ndef dead(): pass"
    found = reached(start="import other\ndef main(): other.app()", other=other)
    assert found == {"start.main", "other.go"}
