"""Nothing of a file is loaded unless all of its types are trusted."""

import os
from functools import partial
from typing import Any

import pytest

from stores.skops import UntrustedTypesError, load, require_trusted


def file(function: Any) -> bytes:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    return skops.io.dumps(FunctionTransformer(function))


def test_what_skops_and_we_trust_is_loaded() -> None:
    import skops.io
    from sklearn.preprocessing import StandardScaler

    assert isinstance(load(skops.io.dumps(StandardScaler())), StandardScaler)


def test_a_type_that_nobody_trusts_is_named_and_not_run(tmp_path: Any) -> None:
    content = file(partial(os.mkdir, str(tmp_path / "ran")))
    for read in (require_trusted, load):
        with pytest.raises(UntrustedTypesError, match=r"holds posix\.mkdir, which nobody trusts"):
            read(content)
    assert not (tmp_path / "ran").exists()


def test_operators_may_trust_more() -> None:
    content = file(os.getenv)
    require_trusted(content, ["os.getenv"])
    assert load(content, ["os.getenv"]).func is os.getenv


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")  # Some do not converge on thirty rows.
def test_fault_6_11_what_scikit_learn_itself_makes_is_trusted() -> None:
    import numpy as np
    import skops.io
    from sklearn.utils import all_estimators

    rows = np.random.default_rng(0).random((30, 3))
    label = (rows[:, 0] > 0.5).astype(int)
    tried, refused = [], {}
    for name, estimator in all_estimators(type_filter=["classifier", "transformer"]):
        try:
            content = skops.io.dumps(estimator().fit(rows, label))
        except Exception:  # it wants arguments or other rows, or cannot be written
            continue
        tried.append(name)
        try:
            require_trusted(content)
        except UntrustedTypesError as error:
            refused[name] = str(error)
    assert {"SimpleImputer", "KNeighborsClassifier", "SelectKBest"} <= {*tried}
    assert len(tried) > 80
    assert refused == {}
