"""PaddleOCR: a recogniser with its alphabet in the metadata, or a DB text detector."""

from __future__ import annotations

from inference_core.errors import BadInput
from inference_core.recognise.draft import IMAGENET, Document, Draft
from inference_core.recognise.graph import Graph, read_picture_input, to_specs

_ALPHABET_KEY = "character"
_LINE_SIZE = (48, 320)
"""PP-OCR's own height, and the width that it fills before it grows."""
_PAGE_SIZE = (960, 960)
"""PP-OCR's longest side; the graph takes any multiple of 32."""


def draft(graph: Graph) -> Draft | None:
    """A draft for a recogniser or text detector of PaddleOCR; None for any other file."""
    if graph.metadata.get(_ALPHABET_KEY):
        return _draft_recogniser(graph)
    is_paddle = "paddle" in graph.producer.lower()
    if is_paddle and len(graph.outputs) == 1 and _makes_a_map(graph):
        return _draft_detector(graph)
    return None


def _makes_a_map(graph: Graph) -> bool:
    output = graph.outputs[0]
    return (
        len(output.shape) == 4
        and output.shape[1] in (1, None)
        and graph.maker_of(output.name) == "Sigmoid"
    )


def _draft_recogniser(graph: Graph) -> Draft:
    picture = read_picture_input(graph, _LINE_SIZE)
    outputs = graph.outputs_for(picture)
    scores = graph.outputs[0].name if graph.outputs else ""
    if scores not in outputs or len(outputs[scores].shape) != 3:
        raise BadInput(f"{graph.name} has an alphabet, but no output 1×T×K to read text from")
    columns = outputs[scores].shape[2]
    letters = len(graph.metadata[_ALPHABET_KEY].removesuffix("\n").split("\n"))
    decoder = {
        "kind": "ctc",
        "output": scores,
        "alphabet_key": _ALPHABET_KEY,
        "space_at_end": columns == letters + 2,  # and the blank
        "activation": "none" if graph.maker_of(scores) == "Softmax" else "softmax",
    }
    preprocess: Document = {
        "colour": "bgr",
        "resize": "pad_right",
        "pad_value": 127.5,
        "mean": [0.5],
        "std": [0.5],
    }
    document: Document = {
        "task": "text_recognition",
        "inputs": [picture.to_spec()],
        "outputs": to_specs(outputs, [scores]),
        "preprocess": preprocess,
        "decoder": decoder,
        "licence": "Apache-2.0",
        "source": "a text recogniser of PaddleOCR",
    }
    return Draft("a text recogniser of PaddleOCR", document)


def _draft_detector(graph: Graph) -> Draft:
    picture = read_picture_input(graph, _PAGE_SIZE)
    outputs = graph.outputs_for(picture)
    output = graph.outputs[0].name
    document: Document = {
        "task": "text_detection",
        "inputs": [picture.to_spec()],
        "outputs": to_specs(outputs, [output]),
        "preprocess": {"colour": "bgr", "resize": "letterbox", **IMAGENET},
        "decoder": {"kind": "text_boxes", "output": output},
        "licence": "Apache-2.0",
        "source": "a DB text detector of PaddleOCR",
    }
    return Draft("a DB text detector of PaddleOCR", document)
