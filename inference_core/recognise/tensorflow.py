"""TensorFlow's Object Detection API: ``detection_boxes`` and its kin, merged inside the graph."""

from __future__ import annotations

from inference_core.recognise.beside import read_labels
from inference_core.recognise.draft import LABELS_GAP, NO_LICENCE, Document, Draft
from inference_core.recognise.graph import Graph, read_picture_input, to_specs

_FAMILY = "a detector of TensorFlow's Object Detection API"
_READ = ("detection_boxes", "detection_scores", "detection_classes")


def draft(graph: Graph) -> Draft | None:
    """A draft for a file with the API's three outputs; None for any other.

    Classes count from 1; boxes are y1, x1, y2, x2 in shares; normalisation lies in the graph.
    """
    names = {facts.name.removesuffix(":0"): facts.name for facts in graph.outputs}
    if not set(_READ) <= set(names):
        return None
    picture = read_picture_input(graph)
    outputs = graph.outputs_for(picture)
    boxes, scores, classes = (names[name] for name in _READ)
    document: Document = {
        "task": "detection",
        "inputs": [picture.to_spec()],
        "outputs": to_specs(outputs, [boxes, scores, classes]),
        "preprocess": {"colour": "rgb", "layout": picture.layout, "scale": 1.0},
        "decoder": {
            "kind": "listed",
            "boxes_output": boxes,
            "scores_output": scores,
            "classes_output": classes,
            "box_format": "yxyx",
            "unit": "share",
            "first_class": 1,
            "labels": read_labels(graph.path) or LABELS_GAP,
        },
        "licence": NO_LICENCE,
        "source": _FAMILY,
    }
    return Draft(_FAMILY, document)
