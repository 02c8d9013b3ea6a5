"""What a skops file may hold: agreed between whoever writes one and whoever loads it."""

import warnings
from collections.abc import Collection
from typing import Any

SKOPS_TYPES = (
    "functools.partial",  # of functions, which have to be trusted themselves
    "numpy.dtype",
    "numpy.mean",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
)
"""Types that are loaded beside those that skops trusts by itself: what scikit-learn's classifiers
and transformers hold after they were fitted. Each by its name, since scikit-learn has functions
that read files, too.

A file never says what to trust in it. Operators add types to both services that have to do with
one, by their setting SKOPS_TRUSTED_TYPES.
"""


class UntrustedTypesError(Exception):
    """The file holds types that nobody trusts; the text names them, and what to do."""


def require_trusted(content: bytes, trusted: Collection[str] = ()) -> None:
    """Raise UntrustedTypesError when a file holds a type that neither we nor operators trust."""
    import skops.io

    unknown = {*skops.io.get_untrusted_types(data=content)} - {*SKOPS_TYPES, *trusted}
    if unknown:
        raise UntrustedTypesError(
            f"the skops file holds {', '.join(sorted(unknown))}, which nobody trusts: build the"
            " pipeline without, or name it in SKOPS_TRUSTED_TYPES of trainer and predictor"
        )


def load(content: bytes, trusted: Collection[str] = ()) -> Any:
    """The object in a file that was written under this very release of scikit-learn.

    Args:
        content: of the file.
        trusted: types that the operator trusts beside `SKOPS_TYPES`.

    Raises:
        UntrustedTypesError: nothing of the file was loaded.
        Exception: it is no skops file, or was written under another release.
    """
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    require_trusted(content, trusted)
    with warnings.catch_warnings():
        # Another release of scikit-learn may load it and answer something else.
        warnings.simplefilter("error", InconsistentVersionWarning)
        return skops.io.loads(content, trusted=[*SKOPS_TYPES, *trusted])
