"""The cases of `glucose_range` are those of `glucose`: one dataset, two questions."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_SOURCE = Path(__file__).parents[1] / "glucose" / "demo.py"
_spec = importlib.util.spec_from_file_location("cases_of_glucose", _SOURCE)
if _spec is None or _spec.loader is None:
    raise FileNotFoundError(_SOURCE)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
START, cases = _module.START, _module.cases
