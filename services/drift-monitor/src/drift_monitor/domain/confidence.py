"""A lower bound on a mean that holds whenever one looks."""

import math


def lower_bound(mean: float, deviation: float, n: int, *, alpha: float, expected: int) -> float:
    """Lower end of the asymptotic confidence sequence of a mean.

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and
    asymptotic confidence sequences" (2021), theorem 2.2:

        mean - σ √( 2 (n ρ² + 1) / (n² ρ²) · log( √(n ρ² + 1) / α ) )

    with ρ² = (-2 log α + log(-2 log α + 1)) / expected, which is tightest near `expected` rows
    (appendix B.2). As a one-sided bound it errs less often than α.

    Args:
        mean: of the observations.
        deviation: their standard deviation.
        n: how many there are; below two nothing is known.
        alpha: error rate, over all looks together.
        expected: about how many there will be when it matters.
    """
    if n < 2 or math.isnan(deviation):
        return -math.inf
    log_alpha = -2 * math.log(alpha)
    rho2 = (log_alpha + math.log(log_alpha + 1)) / expected
    inside = n * rho2 + 1
    width = math.sqrt(2 * inside / (n * n * rho2) * math.log(math.sqrt(inside) / alpha))
    return mean - deviation * width
