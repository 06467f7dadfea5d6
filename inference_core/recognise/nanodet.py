"""NanoDet: for each stride a table of scores and one of side distributions."""

from __future__ import annotations

from collections import defaultdict

from inference_core.contract.build import TensorFacts
from inference_core.recognise.beside import read_labels
from inference_core.recognise.coco import name_columns
from inference_core.recognise.draft import LABELS_GAP, NO_LICENCE, Document, Draft
from inference_core.recognise.graph import Graph, read_picture_input, to_specs

_FAMILY = "a detector with NanoDet's heads"
_STRIDES = (8, 16, 32, 64)
_FEWEST_HEADS = 3
_MOST_BINS = 32
_MOVES = frozenset({"Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten"})
_FARTHEST = 8


def draft(graph: Graph) -> Draft | None:
    """A draft for a file with the heads of three strides or more; None for any other.

    Every configuration of NanoDet takes BGR by the mean and deviation of ImageNet.
    """
    picture = read_picture_input(graph) if len(graph.inputs) == 1 else None
    if picture is None:
        return None
    height, width = picture.sides
    if not isinstance(height, int) or not isinstance(width, int):
        return None
    cells = {(height // stride) * (width // stride): stride for stride in _STRIDES}
    heads = _find_heads(graph.outputs, cells)
    if len(heads) < _FEWEST_HEADS or len(graph.outputs) != 2 * len(heads):
        return None
    names = [str(head[part]) for head in heads for part in ("scores", "sides")]
    columns = next(facts.shape[2] for facts in graph.outputs if facts.name == names[0])
    document: Document = {
        "task": "detection",
        "inputs": [picture.to_spec()],
        "outputs": to_specs(graph.outputs_for(picture), names),
        "preprocess": {
            "colour": "bgr",
            "layout": picture.layout,
            "resize": "letterbox",
            "scale": 1.0,
            "mean": [103.53, 116.28, 123.675],
            "std": [57.375, 57.12, 58.395],
        },
        "decoder": {
            "kind": "grid",
            "heads": heads,
            "activation": "none" if _is_activated(graph, names[0]) else "sigmoid",
            "threshold": 0.4,
            "nms_iou": 0.6,
            "max_boxes": 100,
            "labels": read_labels(graph.path) or name_columns(columns or 0) or LABELS_GAP,
        },
        "licence": NO_LICENCE,
        "source": _FAMILY,
    }
    return Draft(_FAMILY, document)


def _find_heads(outputs: tuple[TensorFacts, ...], cells: dict[int, int]) -> list[Document]:
    """By stride: of its two tables the one with four equal shares of bins holds the sides."""
    tables = defaultdict[int, list[TensorFacts]](list)
    for facts in outputs:
        if len(facts.shape) == 3 and facts.shape[1] in cells and facts.shape[2]:
            tables[cells[facts.shape[1]]].append(facts)
    widths = [{facts.shape[2] for facts in pair} for pair in tables.values()]
    common = set.intersection(*widths) if widths else set()
    sides = {width for width in common if width and width % 4 == 0 and width // 4 <= _MOST_BINS}
    if len(common) != 2 or not sides:
        return []
    # 80 classes make four shares too: bins are the fewer.
    bins = min(width for width in sides)
    return [
        {
            "stride": stride,
            "scores": next(facts.name for facts in pair if facts.shape[2] != bins),
            "sides": next(facts.name for facts in pair if facts.shape[2] == bins),
        }
        for stride, pair in sorted(tables.items())
    ]


def _is_activated(graph: Graph, output: str) -> bool:
    """Whether a sigmoid stands before the output, with nothing but moves of numbers between."""
    makers = {name: node for node in graph.model.graph.node for name in node.output}
    name = output
    for _ in range(_FARTHEST):
        node = makers.get(name)
        if node is None or node.op_type == "Sigmoid" or node.op_type not in _MOVES:
            return node is not None and node.op_type == "Sigmoid"
        name = node.input[0]
    return False
