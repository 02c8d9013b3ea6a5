"""The import contracts name modules that there are: a name of none forbids nothing."""

from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / ".importlinter"


def forbidden() -> list[str]:
    contracts = ConfigParser()
    contracts.read(FILE)
    named = [
        contracts[section][key].split("\n")
        for section in contracts.sections()
        for key in ("source_modules", "forbidden_modules")
        if key in contracts[section]
    ]
    return sorted({name.strip() for names in named for name in names if name.strip()})


@pytest.mark.parametrize("name", forbidden())
def test_a_module_that_a_contract_names_is_there(name: str) -> None:
    assert find_spec(name) is not None
