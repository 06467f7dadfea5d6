"""Small real ONNX models for the tests: built by hand, run by real runtimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inference_core.contract.manifest import ModelManifest

HEIGHT, WIDTH = 32, 48
LABELS = ("background", "dark", "bright")


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def brightness_model(*, channels: int = 3, seed: int = 7) -> onnx.ModelProto:
    """Segments by brightness: background is mid-grey, "dark" lies below it, "bright" above.

    Two convolutions that pass the mean of the channels on, plus a little seeded noise that makes
    quantising worth measuring.
    """
    rng = np.random.default_rng(seed)
    spread = np.full((8, channels, 3, 3), 1 / (channels * 9), np.float32)
    spread += rng.normal(0, 1e-4, spread.shape).astype(np.float32)
    # logits: background 0, dark 20·(0.35 - x), bright 20·(x - 0.65)
    gather = np.zeros((3, 8, 1, 1), np.float32)
    gather[1], gather[2] = -20 / 8, 20 / 8
    bias = np.array([0, 7, -13], np.float32)
    nodes = [
        helper.make_node(
            "Conv", ["image", "spread", "zero"], ["mean"], "spread_conv", pads=[1] * 4
        ),
        helper.make_node("Relu", ["mean"], ["positive"], "relu"),
        helper.make_node("Conv", ["positive", "gather", "bias"], ["logits"], "gather_conv"),
    ]
    weights = {"spread": spread, "zero": np.zeros(8, np.float32), "gather": gather, "bias": bias}
    return _model(
        nodes,
        weights,
        helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", channels, "h", "w"]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3, "h", "w"]),
    )


def brightness_manifest(**changes: object) -> ModelManifest:
    fields = {
        "task": "segmentation",
        "inputs": [{"name": "image", "shape": [1, 3, HEIGHT, WIDTH]}],
        "outputs": [{"name": "logits", "shape": [1, 3, HEIGHT, WIDTH]}],
        "decoder": {"kind": "segment", "output": "logits", "labels": list(LABELS)},
        "licence": "Apache-2.0",
    }
    return ModelManifest.model_validate({**fields, **changes})


def _model(
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    entrance: onnx.ValueInfoProto,
    exit_: onnx.ValueInfoProto,
) -> onnx.ModelProto:
    stored = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "brightness", [entrance], [exit_], stored)
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name="linewarden-tests",
    )
