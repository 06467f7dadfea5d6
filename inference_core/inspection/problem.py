"""Refusals of an inspection, and the limits that it holds uploads to."""

from __future__ import annotations

from typing import Literal

from inference_core.contract.build import InspectionProblem

Code = Literal[
    "not_onnx",
    "external_data",
    "too_large",
    "unknown_operator",
    "absent_tensor",
    "shape_mismatch",
    "missing_alphabet",
    "inspection_failed",
]

MAX_MODEL_BYTES = 512 * 1024 * 1024
MAX_NODES = 50_000
MAX_TENSORS = 50_000
MAX_ELEMENTS = 2**28  # of one tensor: 1 GiB of float32
MAX_RANK = 16
MAX_GRAPHS = 2_000
MAX_DEPTH = 8
"""Of graphs in graphs: what people export has one or two."""
MAX_TOTAL_ELEMENTS = 2**32  # of all tensors between the nodes: 16 GiB of float32

_MAX_DETAIL = 500


class RefusedError(Exception):
    """The model may not be used; ``problem`` says why to the one who uploaded it."""

    def __init__(self, code: Code, detail: str) -> None:
        printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in detail)
        self.problem = InspectionProblem(code=code, detail=printable[:_MAX_DETAIL])
        super().__init__(self.problem.detail)
