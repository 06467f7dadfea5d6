"""SSDs cut out of TensorFlow's Object Detection API: decoded boxes and all scores, before NMS."""

from __future__ import annotations

from inference_core.contract.build import TensorFacts
from inference_core.recognise.beside import read_labels
from inference_core.recognise.coco import name_columns
from inference_core.recognise.draft import LABELS_GAP, NO_LICENCE, Document, Draft
from inference_core.recognise.graph import Graph, read_picture_input, to_specs

_FAMILY = "an SSD of TensorFlow's Object Detection API, without its NMS"
_INPUT, _OUTPUT = "Preprocessor/", "Postprocessor/"
"""Scopes that the API gives to its own steps."""


def draft(graph: Graph) -> Draft | None:
    """A draft for a file whose tensors carry the API's scopes; None for any other.

    The input lies behind the API's own scaling to -1…1. Columns are named after COCO where
    there are as many, as in the API's pretrained models.
    """
    outputs = [facts for facts in graph.outputs if facts.name.startswith(_OUTPUT)]
    boxes = next((facts for facts in outputs if _is_boxes(facts)), None)
    scores = next((facts for facts in outputs if len(facts.shape) == 3 and facts != boxes), None)
    if boxes is None or scores is None or not graph.inputs[0].name.startswith(_INPUT):
        return None
    picture = read_picture_input(graph)
    columns = scores.shape[2] or 0
    document: Document = {
        "task": "detection",
        "inputs": [picture.to_spec()],
        "outputs": to_specs(graph.outputs_for(picture), [boxes.name, scores.name]),
        "preprocess": {
            "colour": "rgb",
            "layout": picture.layout,
            "scale": 1 / 127.5,
            "mean": [1.0],
            "std": [1.0],
        },
        "decoder": {
            "kind": "ssd",
            "boxes_output": boxes.name,
            "scores_output": scores.name,
            "threshold": 0.4,
            "nms_iou": 0.6,
            "max_boxes": 100,
            "labels": read_labels(graph.path) or name_columns(columns) or LABELS_GAP,
        },
        "licence": NO_LICENCE,
        "source": _FAMILY,
    }
    return Draft(_FAMILY, document)


def _is_boxes(facts: TensorFacts) -> bool:
    """1×N×4, or 1×N×1×4 with the API's one box for all classes."""
    return facts.shape[-1:] == (4,) and (len(facts.shape) == 3 or facts.shape[2:3] == (1,))
