"""What may judge a release: golden pictures that calibrated none of its models."""

from __future__ import annotations

from collections.abc import Iterable

from server.datasets.models import DatasetVersion, Purpose
from server.datasets.selectors import shared_images
from server.lib.errors import Invalid
from server.registry.models import ModelVersion

MAX_CASES = 2000
"""Every one of them is judged twice for each profile."""


def check_golden(golden: DatasetVersion, pinned: Iterable[ModelVersion]) -> None:
    """Invalid where the set is meant for something else, too large, or calibrated a model."""
    if golden.purpose != Purpose.GOLDEN:
        raise Invalid(f"{golden} is a {golden.purpose} set; golden cases are a golden set.")
    if golden.image_count > MAX_CASES:
        raise Invalid(
            f"{golden} has {golden.image_count} images; a release is judged by {MAX_CASES} at most."
        )
    for version in pinned:
        calibration = version.model.calibration
        if shared := shared_images(golden, calibration):
            raise Invalid(
                f"{shared[0]} of {golden} also calibrates {version.model}, in {calibration}: "
                "what a model was tuned on cannot judge it.",
                images=shared[:20],
            )
