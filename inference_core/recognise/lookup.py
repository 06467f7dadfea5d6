"""Which exporter made a model: one file a family."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from inference_core.contract.manifest import ModelManifest
from inference_core.errors import BadInput
from inference_core.recognise.draft import (
    LABELS_GAP,
    NO_LICENCE,
    NORMALISATION_GAP,
    Draft,
    Gap,
)
from inference_core.recognise.graph import Graph, read_graph, read_picture_input, to_specs

_FAMILIES = (
    "ultralytics",
    "roboflow",
    "tensorflow",
    "tensorflow_ssd",
    "nanodet",
    "paddle",
    "huggingface",
    "torchvision",
)
"""Asked in this order. A module has ``draft(graph) -> Draft | None``."""


def recognise(model: Path) -> ModelManifest:
    """The manifest of a foreign model.

    Raises ``BadInput``, which names all that is missing and says how to give it.
    """
    if model.suffix.lower() != ".onnx":
        raise BadInput(
            f"{model.name} says nothing of itself: write {model.stem}.manifest.json beside it, "
            "or give --manifest"
        )
    draft = draft_manifest(read_graph(model))
    if not draft.missing:
        return draft.to_manifest(model.name)
    raise BadInput(
        f"{model.name} has no manifest; it is {draft.family}, and does not say "
        f"{_list(draft.missing)}: {_advise(draft, model)}"
    )


def draft_manifest(graph: Graph) -> Draft:
    """What is known of a model, with its gaps. Raises ``BadInput`` for damaged metadata."""
    for family in _FAMILIES:
        module = import_module(f"inference_core.recognise.{family}")
        make: Callable[[Graph], Draft | None] = module.draft
        if (draft := make(graph)) is not None:
            return draft
    return _draft_stranger(graph)


def _draft_stranger(graph: Graph) -> Draft:
    picture = read_picture_input(graph)
    names = [facts.name for facts in graph.outputs]
    what = Gap("the task and how to read its outputs", "docs/infer.md lists the kinds")
    document = {
        "task": Gap(what.what, "detection, classification, segmentation, anomaly, text_…"),
        "inputs": [picture.to_spec()],
        "outputs": to_specs(graph.outputs_for(picture), names),
        "preprocess": {
            "colour": "gray" if picture.channels == 1 else "rgb",
            "layout": picture.layout,
            "mean": NORMALISATION_GAP,
            "std": NORMALISATION_GAP,
        },
        "decoder": {"kind": what, "labels": LABELS_GAP},
        "licence": NO_LICENCE,
    }
    return Draft("of an exporter that is not known here", document)


def _advise(draft: Draft, model: Path) -> str:
    if draft.missing == (LABELS_GAP.what,):
        return f"write them into {model.with_name('labels.txt')}, one a line"
    target = model.with_name(f"{model.stem}.manifest.json")
    return f"make a start with: infer inspect {model} --skeleton > {target}, and fill it in"


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]
