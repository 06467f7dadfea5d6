"""A Kalman filter with constant velocity for all objects at once, in true time.

R. E. Kalman, 1960; acceleration as white noise after Bar-Shalom, Li and Kirubarajan, 2001,
section 6.2.2. Noise grows with the size of an object, as in SORT's successors: x and y then share
one 2×2 covariance, and the filter is a few multiplications a frame.
"""

from __future__ import annotations

import numpy as np

from inference_core.tracking.objects import Floats, Objects, Rows

_MEASURED = 0.05
"""Standard deviation of a measured centre or side, in sides of the object."""
_FIRST_SPEED = 3.0
"""Standard deviation of the speed of an object seen once, in sides per second."""
_ACCELERATION = 1.0
"""Of the speed after one second, in sides per second: a person who turns round, a belt's jerk."""
_GROWTH = 0.5
"""Of a side after one second, in sides."""


def predict(objects: Objects, elapsed_s: float) -> None:
    """Moves every estimate ``elapsed_s`` ahead, in place."""
    side = _measure_side(objects["size"])
    noise = (_ACCELERATION * side) ** 2
    covariance, speed = objects["covariance"], objects["velocity_variance"]
    objects["centre"] += objects["velocity"] * elapsed_s
    objects["centre_variance"] += (
        elapsed_s * (2 * covariance + elapsed_s * speed) + noise * elapsed_s**3 / 3
    )
    objects["covariance"] += elapsed_s * speed + noise * elapsed_s**2 / 2
    objects["velocity_variance"] += noise * elapsed_s
    objects["size_variance"] += (_GROWTH * side) ** 2 * elapsed_s


def correct(objects: Objects, rows: Rows, centre: Floats, size: Floats) -> None:
    """Takes in what was measured of ``rows``: K×2 centres and K×2 sizes, in place."""
    seen = objects[rows]
    noise = (_MEASURED * _measure_side(seen["size"])) ** 2
    total = seen["centre_variance"] + noise
    gain, speed_gain = seen["centre_variance"] / total, seen["covariance"] / total
    size_gain = seen["size_variance"] / (seen["size_variance"] + noise)
    surprise = centre - seen["centre"]
    seen["centre"] += gain[:, None] * surprise
    seen["velocity"] += speed_gain[:, None] * surprise
    seen["velocity_variance"] -= speed_gain * seen["covariance"]
    seen["covariance"] *= 1 - gain
    seen["centre_variance"] *= 1 - gain
    seen["size"] += size_gain[:, None] * (size - seen["size"])
    seen["size_variance"] *= 1 - size_gain
    objects[rows] = seen


def begin(objects: Objects, centre: Floats, size: Floats) -> None:
    """First estimates of objects that were measured for the first time, in place."""
    side = _measure_side(size)
    objects["centre"], objects["size"] = centre, size
    objects["centre_variance"] = objects["size_variance"] = (_MEASURED * side) ** 2
    objects["velocity_variance"] = (_FIRST_SPEED * side) ** 2


def measure_surprise(objects: Objects, centre: Floats) -> Floats:
    """N×K squared Mahalanobis distances of K centres; chi-squared with 2 degrees of freedom."""
    noise = (_MEASURED * _measure_side(objects["size"])) ** 2
    away = objects["centre"][:, None, :] - centre[None, :, :]
    distance: Floats = np.einsum("nkd,nkd->nk", away, away)
    return distance / (objects["centre_variance"] + noise)[:, None]


def _measure_side(size: Floats) -> Floats:
    """Mean of width and height."""
    side: Floats = (size[:, 0] + size[:, 1]) / 2
    return side
