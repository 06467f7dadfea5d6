"""A manifest on its way: what a family of exporters says, and the gaps that a person must fill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError

from inference_core.contract.manifest import ModelManifest
from inference_core.errors import BadInput

NO_LICENCE = "NOASSERTION"
"""SPDX for: the file does not say."""

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}

Document = dict[str, Any]


class Gap(NamedTuple):
    """Stands in a document where the file says nothing."""

    what: str
    """As in "the labels"."""
    hint: str
    """What to write there."""


LABELS_GAP = Gap("the labels", "one name a class, in the order of the scores")
NORMALISATION_GAP = Gap("the input's normalisation", "pixels become (pixel * scale - mean) / std")


@dataclass(frozen=True)
class Draft:
    """The fields of a ``ModelManifest``, with a ``Gap`` for each that is not known."""

    family: str
    """As in "an export of Ultralytics YOLO"."""
    document: Document

    @property
    def missing(self) -> tuple[str, ...]:
        """What a person must say, each once."""
        return tuple(dict.fromkeys(gap.what for gap in _find_gaps(self.document)))

    def to_skeleton(self) -> Document:
        """The document with words where the gaps are, for a person to go on with."""
        skeleton: Document = _fill(self.document)
        return skeleton

    def to_manifest(self, name: str) -> ModelManifest:
        """The manifest of a draft without gaps. Raises ``BadInput`` where it contradicts itself."""
        try:
            return ModelManifest.model_validate(self.document)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "its parts"
            raise BadInput(
                f"{name} is {self.family}, but what it says of itself makes no manifest: "
                f"{place}: {first['msg']}"
            ) from error


def _find_gaps(value: Any) -> Iterator[Gap]:
    if isinstance(value, Gap):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _find_gaps(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _find_gaps(inner)


def _fill(value: Any) -> Any:
    if isinstance(value, Gap):
        return f"FILL IN: {value.hint}"
    if isinstance(value, dict):
        return {key: _fill(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_fill(inner) for inner in value]
    return value
