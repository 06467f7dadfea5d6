"""Exports in torchvision's way: class scores 1×C, or ``boxes``, ``labels`` and ``scores``."""

from __future__ import annotations

from inference_core.recognise.beside import read_labels
from inference_core.recognise.draft import (
    LABELS_GAP,
    NO_LICENCE,
    NORMALISATION_GAP,
    Document,
    Draft,
)
from inference_core.recognise.graph import Graph, PictureInput, read_picture_input, to_specs
from inference_core.recognise.literals import parse_literal, read_names

_LABEL_KEYS = ("labels", "names", "classes", "class_names", "categories")
_DETECTOR = ("boxes", "scores", "labels")


def draft(graph: Graph) -> Draft | None:
    """A draft for a classifier or a torchvision detector; None for any other file.

    A classifier's normalisation is not in its graph: it counts only where the metadata gives
    ``mean`` and ``std``. Torchvision's detectors normalise inside.
    """
    if set(_DETECTOR) <= {facts.name for facts in graph.outputs}:
        return _draft_detector(graph)
    if len(graph.outputs) == 1:
        return _draft_classifier(graph)
    return None


def _draft_detector(graph: Graph) -> Draft:
    family = "a detector of torchvision"
    picture = read_picture_input(graph)
    labels = _find_labels(graph)
    # Torchvision counts from 1, and its own lists of categories begin with the background.
    has_background = labels is not None and labels[0].strip("_").lower() in {"background", "bg"}
    decoder: Document = {
        "kind": "listed",
        "boxes_output": "boxes",
        "scores_output": "scores",
        "classes_output": "labels",
        "first_class": 0 if has_background else 1,
        "labels": labels or LABELS_GAP,
    }
    outputs = to_specs(graph.outputs_for(picture), list(_DETECTOR))
    return Draft(
        family,
        {
            **_describe(picture, {}),
            "task": "detection",
            "outputs": outputs,
            "decoder": decoder,
            "source": family,
        },
    )


def _draft_classifier(graph: Graph) -> Draft | None:
    picture = read_picture_input(graph)
    outputs = graph.outputs_for(picture)
    name = graph.outputs[0].name
    shape = outputs[name].shape
    if len(shape) != 2 or shape[0] not in (1, None):
        return None
    family = f"a classifier of {shape[1] or 'some'} classes"
    decoder: Document = {
        "kind": "classify",
        "output": name,
        "labels": _find_labels(graph) or LABELS_GAP,
        "activation": "none" if graph.maker_of(name) == "Softmax" else "softmax",
    }
    return Draft(
        family,
        {
            **_describe(picture, {"resize": "crop", **_read_normalisation(graph)}),
            "task": "classification",
            "outputs": to_specs(outputs, [name]),
            "decoder": decoder,
            "source": family,
        },
    )


def _describe(picture: PictureInput, preprocess: Document) -> Document:
    colour = "gray" if picture.channels == 1 else "rgb"
    return {
        "inputs": [picture.to_spec()],
        "preprocess": {"colour": colour, "layout": picture.layout, **preprocess},
        "licence": NO_LICENCE,
    }


def _find_labels(graph: Graph) -> list[str] | None:
    for key in _LABEL_KEYS:
        if key in graph.metadata:
            return read_names(parse_literal(graph.metadata[key], key), key)
    return read_labels(graph.path)


def _read_normalisation(graph: Graph) -> Document:
    if not {"mean", "std"} <= set(graph.metadata):
        return {"mean": NORMALISATION_GAP, "std": NORMALISATION_GAP}
    return {key: parse_literal(graph.metadata[key], key) for key in ("mean", "std")}
