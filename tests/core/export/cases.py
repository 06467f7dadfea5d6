"""Models to export: real graphs, with manifests that ask for what servers find hard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import Precision
from inference_core.export.base import Origin
from inference_core.tensorrt.engine_file import EngineFacts, write_engine

HEIGHT, WIDTH, CLASSES = 24, 32, 3


def make_graph(*, batch: int | str = "n", nhwc: bool = False) -> onnx.ModelProto:
    """n×3×H×W scores that mix the channels, each in another way."""
    rng = np.random.default_rng(3)
    turn = [helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 3, 1, 2])]
    nodes = [
        *(turn if nhwc else []),
        helper.make_node("Conv", ["turned" if nhwc else "image", "weights"], ["mixed"], "conv"),
        helper.make_node("Identity", ["mixed"], ["scores"], "identity"),
    ]
    size = (HEIGHT, WIDTH)
    shape = [batch, *size, 3] if nhwc else [batch, 3, *size]
    graph = helper.make_graph(
        nodes,
        "mixer",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(
                "scores", TensorProto.FLOAT, [batch, CLASSES, HEIGHT, WIDTH]
            )
        ],
        [numpy_helper.from_array(rng.random((3, 3, 1, 1), np.float32), "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def make_classifier(opset: int = 17) -> onnx.ModelProto:
    """1×3 logits: the mean of each channel, mixed."""
    weights = np.array([[4, 1, 0], [0, 4, 1], [1, 0, 4]], np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"], "pool"),
        helper.make_node("Flatten", ["mean"], ["flat"], "flatten"),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"], "mix"),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def make_manifest(**changes: Any) -> ModelManifest:
    """A segmenter; ``preprocess`` and ``decoder`` are merged, all else replaced."""
    fields: dict[str, Any] = {
        "task": "segmentation",
        "inputs": [{"name": "image", "shape": [1, 3, HEIGHT, WIDTH]}],
        "outputs": [{"name": "scores", "shape": [1, CLASSES, HEIGHT, WIDTH]}],
        "decoder": {"kind": "segment", "output": "scores", "labels": ["good", "scratch", "dent"]},
        "licence": "Apache-2.0",
    }
    return ModelManifest.model_validate({**fields, **changes})


def classifier_manifest(**preprocess: Any) -> ModelManifest:
    return make_manifest(
        task="classification",
        outputs=[{"name": "scores", "shape": [1, CLASSES]}],
        decoder={"kind": "classify", "output": "scores", "labels": ["red", "green", "blue"]},
        preprocess=preprocess,
    )


def detector_manifest(**changes: Any) -> ModelManifest:
    """The graph is no detector; what is written about one does not depend on that."""
    decoder = {"kind": "yolo", "version": "v8", "output": "scores", "labels": ["traffic light"]}
    return make_manifest(task="detection", decoder=decoder, **changes)


def triton_cases() -> dict[str, Origin]:
    """What Triton's own schema is asked to read; see ``make_triton_golden.py``."""
    strange = make_manifest(
        inputs=[{"name": 'im"age\\1', "shape": [1, 3, HEIGHT, WIDTH], "dtype": "uint8"}],
        outputs=[
            {"name": "größe:0", "shape": [None, 4]},
            {"name": "count", "shape": [], "dtype": "int64"},
        ],
        task="detection",
        decoder={"kind": "end_to_end", "output": "größe:0", "labels": ["a"]},
    )
    fixed = make_graph(batch=1)
    return {
        "open-batch": Origin("open-batch", make_manifest(), graph=make_graph()),
        "fixed-batch": Origin("fixed-batch", make_manifest(), graph=fixed),
        "classifier": Origin("classifier", classifier_manifest(), graph=make_classifier()),
        "strange-names": Origin("strange-names", strange, graph=fixed),
    }


def make_engine(folder: Path, flavour: str, *, largest: int) -> Path:
    """An engine file with facts that are as true as its plan: not at all, and nobody loads it."""
    shape = [1, 3, 24, 32]
    side = None if largest > 1 else 1
    facts = EngineFacts.model_validate(
        {
            "key": "a" * 64,
            "flavour": flavour,
            "version": "10.3.0.26",
            "architecture": "aarch64",
            "compute_capabilities": ["8.7"],
            "precision": Precision.FP16,
            "inputs": [
                {
                    "name": "image",
                    "dtype": "float32",
                    "minimum": shape,
                    "optimal": shape,
                    "maximum": [largest, *shape[1:]],
                    "is_fixed": largest == 1,
                }
            ],
            "outputs": [{"name": "scores", "shape": [side, 3, 24, 32], "dtype": "float32"}],
        }
    )
    write_engine(folder / "a.engine", b"plan", facts)
    return folder / "a.engine"
