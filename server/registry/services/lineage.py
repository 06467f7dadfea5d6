"""Where a version comes from: checked when it is uploaded, and never changed later."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from inference_core.contract.manifest import ModelManifest
from server.datasets.models import DatasetVersion
from server.datasets.selectors import dataset_version
from server.lib import documents
from server.lib.errors import Invalid, NotFound
from server.registry.models import ModelVersion, VisionModel

MAX_METRICS, MAX_RECIPE_BYTES, MAX_RECIPE_DEPTH = 100, 16 * 1024, 8
METRIC_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 _./@()%:+-]{0,99}")
"""A letter first: what is a number only would be a place in a list where figures are asked for."""


def find_parent(model: VisionModel, told: str) -> ModelVersion | None:
    """The version that ``told`` names: ``version``, or ``model/version`` for another model's.

    Raises Invalid where there is none, or where it is for another task.
    """
    if not told:
        return None
    name, _, version = told.rpartition("/")
    versions = ModelVersion.objects.select_related("model")
    parent = versions.filter(model__name=name or model.name, version=version).first()
    if parent is None:
        raise Invalid(
            f"The parent {told!r} is no version here. Give version, or model/version for that "
            "of another model."
        )
    if parent.model.task != model.task:
        raise Invalid(f"The parent {parent} is for {parent.model.task}, not for {model.task}.")
    return parent


def find_training_set(told: str) -> DatasetVersion | None:
    """The dataset version that ``told`` names as ``name/version``; Invalid where there is none."""
    if not told:
        return None
    name, _, version = told.rpartition("/")
    try:
        return dataset_version(name, version)
    except NotFound:
        raise Invalid(
            f"trained_on names {told!r}, which is no dataset version here. Give name/version."
        ) from None


def read_recipe(told: Any) -> dict[str, Any] | None:
    """A JSON object with a ``name``; None where nothing was told.

    Raises Invalid where it is something else, larger than 16 KiB or nested deeper than 8.
    """
    if told is None or told == "":
        return None
    recipe = _decode(told)
    if not isinstance(recipe, dict) or not isinstance(recipe.get("name"), str):
        raise Invalid('A recipe is a JSON object with a name: {"name": "fine-tune", …}.')
    _require_shallow(recipe)
    text = json.dumps(recipe, ensure_ascii=False)
    if len(text.encode(errors="replace")) > MAX_RECIPE_BYTES:
        raise Invalid(f"A recipe has at most {MAX_RECIPE_BYTES} bytes; keep files elsewhere.")
    documents.require_storable(recipe)
    return recipe


def read_metrics(told: Any, manifest: ModelManifest) -> dict[str, float]:
    """The manifest's figures, and those told beside it, which win.

    Raises Invalid for more than 100, a name that cannot be asked for, or what is no number.
    """
    figures = {name: value for name, value in manifest.metrics.items() if math.isfinite(value)}
    metrics = {} if told is None or told == "" else _decode(told)
    if not isinstance(metrics, Mapping):
        raise Invalid('Metrics are a JSON object of numbers: {"mean_iou": 0.86}.')
    for name, value in metrics.items():
        if not isinstance(name, str) or not METRIC_NAME.fullmatch(name):
            raise Invalid(
                f"{str(name)[:100]!r} is no name of a metric: a letter first, then letters, digits "
                "and _ . / @ ( ) % : + - and spaces, 100 at most."
            )
        figures[name] = _read_number(name, value)
    if len(figures) > MAX_METRICS:
        raise Invalid(f"There are {len(figures)} metrics; at most {MAX_METRICS} are kept.")
    return figures


def _read_number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Invalid(f"The metric {name!r} is no number.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Invalid(f"The metric {name!r} is not finite.")
    return number


def _decode(told: Any) -> Any:
    if not isinstance(told, str):
        return told
    try:
        return documents.decode(told)
    except ValueError as error:
        raise Invalid(f"{told[:40]!r} is no JSON: {error}.") from None


def _require_shallow(value: Any, depth: int = 1) -> None:
    if depth > MAX_RECIPE_DEPTH:
        raise Invalid(f"A recipe is nested at most {MAX_RECIPE_DEPTH} deep.")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        _require_shallow(item, depth + 1)
