"""RF-DETR of Roboflow: outputs ``dets`` and ``labels``; newer exports describe themselves."""

from __future__ import annotations

from typing import Any

from inference_core.errors import BadInput
from inference_core.recognise.beside import read_labels
from inference_core.recognise.draft import IMAGENET, LABELS_GAP, Document, Draft
from inference_core.recognise.graph import Graph, read_picture_input, to_specs
from inference_core.recognise.literals import parse_literal, read_names

_KEY = "rfdetr_inference"
_FAMILY = "an export of RF-DETR"


def draft(graph: Graph) -> Draft | None:
    """A draft for a file with ``dets`` 1×Q×4 and ``labels`` 1×Q×C; None for any other.

    Raises ``BadInput`` for masks and key points, and for metadata that is damaged.
    """
    shapes = {facts.name: facts.shape for facts in graph.outputs}
    if not {"dets", "labels"} <= set(shapes) or shapes["dets"][-1:] != (4,):
        return None
    told = _read_own_words(graph)
    if extra := sorted(set(shapes) - {"dets", "labels"}):
        raise BadInput(
            f"{graph.name} is an RF-DETR with {extra[0]}; only its detector is supported"
        )
    picture = read_picture_input(graph)
    outputs = graph.outputs_for(picture)
    columns = outputs["labels"].shape[-1]
    document: Document = {
        "task": "detection",
        "inputs": [picture.to_spec()],
        "outputs": to_specs(outputs, ["dets", "labels"]),
        "preprocess": {"colour": "rgb", "layout": picture.layout, **_read_normalisation(told)},
        "decoder": {
            "kind": "detr",
            "boxes_output": "dets",
            "scores_output": "labels",
            "labels": _read_labels(graph, told, columns) or LABELS_GAP,
            "activation": "sigmoid",
        },
        "licence": "Apache-2.0",
        "source": f"{_FAMILY} {told.get('variant') or ''}".strip()[:200],
    }
    return Draft(_FAMILY, document)


def _read_own_words(graph: Graph) -> dict[str, Any]:
    text = graph.metadata.get(_KEY)
    told = {} if text is None else parse_literal(text, _KEY)
    if not isinstance(told, dict):
        raise BadInput(f"the metadata {_KEY!r} of {graph.name} is no object")
    return told


def _read_normalisation(told: dict[str, Any]) -> Document:
    """RF-DETR takes ImageNet's figures unless it says otherwise."""
    return {
        "mean": told.get("means", IMAGENET["mean"]),
        "std": told.get("stds", IMAGENET["std"]),
    }


def _read_labels(graph: Graph, told: dict[str, Any], columns: int | None) -> list[str] | None:
    """One for each column of the scores; a column that no class uses has an empty label."""
    by_number = told.get("class_id_to_name") or {}
    if not by_number and "class_names" not in told:
        return read_labels(graph.path)
    if not by_number:
        return read_names(told["class_names"], _KEY)
    if not isinstance(by_number, dict) or columns is None:
        raise BadInput(f"the metadata {_KEY!r} of {graph.name} does not number its classes")
    return [str(by_number.get(str(column), ""))[:100] for column in range(columns)]
