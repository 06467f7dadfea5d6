"""Exact figures for counts, in plain Python: no normal curve stands in for few pictures."""

from __future__ import annotations

import math

CONFIDENCE = 0.95
_STEPS, _TINY, _CLOSE = 400, 1e-300, 1e-13


def interval(hits: int, tries: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of Clopper and Pearson (1934) for a share; all of 0 to 1 without a try."""
    if not 0 <= hits <= tries:
        raise ValueError(f"{hits} of {tries}")
    if tries == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _inverse_beta(tail, hits, tries - hits + 1)
    high = 1.0 if hits == tries else _inverse_beta(1 - tail, hits + 1, tries - hits)
    return low, high


def sign_test(only_a: int, only_b: int) -> float:
    """How likely so uneven a split is where both are equally good (two-sided, exact).

    Of pictures that exactly one version judged wrong; McNemar's test by the binomial.
    """
    total, fewer = only_a + only_b, min(only_a, only_b)
    if total == 0:
        return 1.0
    # P(X <= fewer) with X ~ Binomial(total, 1/2)
    return min(1.0, 2 * _beta(0.5, total - fewer, fewer + 1))


def _inverse_beta(share: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _beta(middle, a, b) < share else (low, middle)
    return (low + high) / 2


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log + a * math.log(x) + b * math.log1p(-x)) / a
    return front / _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """1 + d1/(1 + d2/(1 + …)), from the front by Lentz's method."""
    value, c, d = 1.0, 1.0, 0.0
    for step in range(1, _STEPS):
        term = _coefficient(step, a, b) * x
        d = 1 / (1 + term * d or _TINY)
        c = 1 + term / c or _TINY
        value *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return value


def _coefficient(step: int, a: float, b: float) -> float:
    m = step // 2
    if step % 2:
        return -(a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1))
    return m * (b - m) / ((a + 2 * m - 1) * (a + 2 * m))
