"""Ultralytics YOLO and YOLOv5: metadata as Python literals, boxes and scores in one tensor."""

from __future__ import annotations

from typing import Any

from inference_core.contract.build import TensorFacts
from inference_core.errors import BadInput
from inference_core.inspection.tensors import clean
from inference_core.recognise.draft import IMAGENET, NO_LICENCE, Document, Draft
from inference_core.recognise.graph import Graph, PictureInput, read_picture_input, to_specs
from inference_core.recognise.literals import parse_literal, read_names, read_size

_GREY = 114
_NMS_IOU = {"v5": 0.45, "v8": 0.7}
"""As their own predictors take by default."""
_TASKS = {"detect": "detection", "classify": "classification"}


def draft(graph: Graph) -> Draft | None:
    """A draft for a file with the keys ``names`` and ``stride``; None for any other.

    Raises ``BadInput`` for tasks that cannot be read, and for metadata that is damaged.
    """
    if not {"names", "stride"} <= set(graph.metadata):
        return None
    names = read_names(parse_literal(graph.metadata["names"], "names"), "names")
    is_yolov5 = "task" not in graph.metadata
    family = "an export of YOLOv5" if is_yolov5 else "an export of Ultralytics YOLO"
    picture = read_picture_input(graph, _read_imgsz(graph))
    output, facts = _first_output(graph, picture)
    task = _read_task(graph, facts)
    parts = (
        _classify(graph, output, names, is_yolov5=is_yolov5)
        if task == "classify"
        else _detect(graph, facts, names, is_yolov5=is_yolov5)
    )
    document = {
        "task": _TASKS[task],
        "inputs": [picture.to_spec()],
        "outputs": to_specs({output: facts}, [output]),
        **_match_colour(parts, picture),
        "licence": _read_licence(graph),
        "source": clean(graph.metadata.get("description", family), 200),
    }
    return Draft(family, document)


def _read_imgsz(graph: Graph) -> tuple[int, int] | None:
    text = graph.metadata.get("imgsz")
    return None if text is None else read_size(parse_literal(text, "imgsz"), "imgsz")


def _first_output(graph: Graph, picture: PictureInput) -> tuple[str, TensorFacts]:
    if not graph.outputs:
        raise BadInput(f"{graph.name} has no output")
    name = graph.outputs[0].name
    return name, graph.outputs_for(picture)[name]


def _read_task(graph: Graph, facts: TensorFacts) -> str:
    told = graph.metadata.get("task", "classify" if len(facts.shape) == 2 else "detect")
    has_masks = len(graph.outputs) > 1 and len(graph.outputs[1].shape) == 4
    task = "segment" if has_masks else told
    if task not in _TASKS:
        raise BadInput(
            f"{graph.name} is a YOLO model for the task {task[:40]!r}, which is not supported; "
            f"supported are {' and '.join(_TASKS)}"
        )
    return task


def _detect(graph: Graph, facts: TensorFacts, names: list[str], *, is_yolov5: bool) -> Document:
    decoder: Document = {"output": facts.name, "labels": names}
    version = _find_version(graph, facts.shape, len(names), is_yolov5=is_yolov5)
    if version == "end_to_end":
        decoder |= {"kind": "end_to_end"}
    else:
        decoder |= {"kind": "yolo", "version": version, "nms_iou": _NMS_IOU[version]}
    return {"preprocess": {"resize": "letterbox", "pad_value": _GREY}, "decoder": decoder}


def _find_version(
    graph: Graph, shape: tuple[int | None, ...], classes: int, *, is_yolov5: bool
) -> str:
    """v5 1×N×(5+C), v8 1×(4+C)×N, end to end 1×N×6; N is far larger than the rest of them."""
    if len(shape) == 3:
        if is_yolov5 and shape[2] in (None, 5 + classes):
            return "v5"
        if not is_yolov5 and shape[1] == 4 + classes:
            return "v8"
        if not is_yolov5 and shape[2] == 6 and _merges_inside(graph, classes):
            return "end_to_end"
    told = "×".join("?" if side is None else str(side) for side in shape)
    raise BadInput(
        f"{graph.name} gives {told} for {classes} classes; a YOLO detector gives "
        f"1×N×{5 + classes}, 1×{4 + classes}×N or 1×N×6 (RT-DETR is not supported in this form)"
    )


def _merges_inside(graph: Graph, classes: int) -> bool:
    """Six columns may also be RT-DETR's box and two scores; then the file must say which."""
    if classes != 2 or graph.metadata.get("end2end") == "True":
        return True
    args = parse_literal(graph.metadata.get("args", "{}"), "args")
    return isinstance(args, dict) and bool(args.get("nms"))


def _classify(graph: Graph, output: str, names: list[str], *, is_yolov5: bool) -> Document:
    activation = "none" if graph.maker_of(output) == "Softmax" else "softmax"
    preprocess: dict[str, Any] = {"resize": "crop"}
    if is_yolov5:
        preprocess |= IMAGENET
    decoder = {"kind": "classify", "output": output, "labels": names, "activation": activation}
    return {"preprocess": preprocess, "decoder": decoder}


def _match_colour(parts: Document, picture: PictureInput) -> Document:
    colour = "gray" if picture.channels == 1 else "rgb"
    preprocess = {**parts["preprocess"], "colour": colour, "layout": picture.layout}
    return {**parts, "preprocess": preprocess}


def _read_licence(graph: Graph) -> str:
    told = clean(graph.metadata.get("license", ""), 200).strip()
    return "AGPL-3.0" if told.startswith("AGPL-3.0") else told or NO_LICENCE
