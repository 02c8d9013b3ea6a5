"""What a skops artifact may hold: agreed between whoever writes one and whoever loads it."""

SKOPS_TYPES = (
    "functools.partial",  # of functions, which have to be trusted themselves
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
)
"""Types that are loaded beside those that skops trusts by itself.

An artifact never says what to trust in it. Operators add types to both services that have to do
with one, by their setting SKOPS_TRUSTED_TYPES.
"""
