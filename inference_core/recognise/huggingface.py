"""Exports of Hugging Face's Optimum: ``config.json`` and ``preprocessor_config.json`` beside."""

from __future__ import annotations

from typing import Any

from inference_core.errors import BadInput
from inference_core.recognise.beside import read_json
from inference_core.recognise.draft import LABELS_GAP, NO_LICENCE, Document, Draft
from inference_core.recognise.graph import Graph, PictureInput, read_picture_input, to_specs
from inference_core.recognise.literals import read_names, read_size

_FAMILY = "an export of a Hugging Face model"
_INTERPOLATION = {0: "nearest", 2: "linear", 3: "cubic"}
"""By the number that PIL gives to its filters."""
_NO_OBJECT_LAST = ("detr", "table-transformer", "yolos")
"""Model types with softmax and a last column for "no object"; the others score by sigmoid."""


def draft(graph: Graph) -> Draft | None:
    """A draft for ``pixel_values`` to ``logits``, and ``pred_boxes`` of a DETR; else None.

    Raises ``BadInput`` for configurations that are damaged.
    """
    names = {facts.name for facts in graph.outputs}
    if "pixel_values" not in {facts.name for facts in graph.inputs} or "logits" not in names:
        return None
    config = read_json(graph.path, "config.json")
    rules = read_json(graph.path, "preprocessor_config.json")
    if config is None or rules is None:
        return None
    picture = read_picture_input(graph, _read_size(rules))
    outputs = graph.outputs_for(picture)
    is_detector = "pred_boxes" in names
    if not is_detector and len(outputs["logits"].shape) != 2:
        raise BadInput(f"{graph.name} is neither a classifier nor a DETR; write a manifest for it")
    labels = read_names(config["id2label"], "id2label") if "id2label" in config else LABELS_GAP
    decoder = _detr(config, labels) if is_detector else _classify(labels)
    document: Document = {
        "task": "detection" if is_detector else "classification",
        "inputs": [picture.to_spec()],
        "outputs": to_specs(outputs, [name for name in ("logits", "pred_boxes") if name in names]),
        "preprocess": _read_preprocess(rules, picture),
        "decoder": decoder,
        "licence": NO_LICENCE,
        "source": f"{_FAMILY}: {str(config.get('model_type', ''))[:60]}",
    }
    return Draft(_FAMILY, document)


def _classify(labels: Any) -> Document:
    return {"kind": "classify", "output": "logits", "labels": labels}


def _detr(config: dict[str, Any], labels: Any) -> Document:
    is_softmax = config.get("model_type") in _NO_OBJECT_LAST
    return {
        "kind": "detr",
        "boxes_output": "pred_boxes",
        "scores_output": "logits",
        "labels": labels,
        "activation": "softmax" if is_softmax else "sigmoid",
    }


def _read_size(rules: dict[str, Any]) -> tuple[int, int] | None:
    size = rules.get("crop_size") if rules.get("do_center_crop") else rules.get("size")
    if isinstance(size, dict) and {"height", "width"} <= set(size):
        return read_size([size["height"], size["width"]], "size")
    return read_size(size, "size") if isinstance(size, int) else None


def _read_preprocess(rules: dict[str, Any], picture: PictureInput) -> Document:
    preprocess: Document = {
        "colour": "gray" if picture.channels == 1 else "rgb",
        "layout": picture.layout,
        "interpolation": _INTERPOLATION.get(rules.get("resample", 2), "linear"),
        "scale": rules.get("rescale_factor", 1 / 255) if rules.get("do_rescale", True) else 1.0,
        **_read_crop(rules),
    }
    if rules.get("do_normalize", True):
        preprocess |= {"mean": rules.get("image_mean", [0.5]), "std": rules.get("image_std", [0.5])}
    return preprocess


def _read_crop(rules: dict[str, Any]) -> Document:
    """The middle of the picture, where it is resized by its shorter side and cut."""
    if not rules.get("do_center_crop"):
        return {"resize": "stretch"}
    size, crop = rules.get("size"), rules.get("crop_size")
    edge = size.get("shortest_edge", size.get("height")) if isinstance(size, dict) else size
    kept = crop.get("height") if isinstance(crop, dict) else crop
    if not (isinstance(edge, int) and isinstance(kept, int) and 0 < kept <= edge):
        raise BadInput(f"preprocessor_config.json cuts {str(kept)[:20]} out of {str(edge)[:20]}")
    return {"resize": "crop", "crop_share": kept / edge}
