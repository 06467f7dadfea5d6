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


def brightness_model(*, loud_channel: float = 1.0) -> onnx.ModelProto:
    """Segments by brightness: background is mid-grey, "dark" lies below it, "bright" above.

    A ``loud_channel`` of 1e5 carries numbers that nothing reads later: harmless in float, but
    INT8 spends all its steps on them and loses the rest.
    """
    spread = np.full((8, 3, 3, 3), 0.2 / 24, np.float32)
    spread[:, :, 1, 1] = 0.8 / 3
    spread[7] *= loud_channel
    carry = np.zeros((8, 8, 3, 3), np.float32)
    carry[range(7), range(7), 1, 1] = 1
    # logits: background 0, dark 20 * (0.35 - x), bright 20 * (x - 0.65)
    gather = np.zeros((3, 8, 1, 1), np.float32)
    gather[1, :7], gather[2, :7] = -20 / 7, 20 / 7
    bias = np.array([0, 7, -13], np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "spread"], ["mean"], "spread_conv", pads=[1] * 4),
        helper.make_node("Relu", ["mean"], ["positive"], "relu"),
        helper.make_node("Conv", ["positive", "carry"], ["carried"], "carry_conv", pads=[1] * 4),
        helper.make_node("Conv", ["carried", "gather", "bias"], ["logits"], "gather_conv"),
    ]
    return _model(nodes, {"spread": spread, "carry": carry, "gather": gather, "bias": bias})


def fragile_model() -> onnx.ModelProto:
    """As ``brightness_model``, but takes the logarithm of (20001 - 20000): NaN in fp16 only."""
    model = brightness_model()
    graph = model.graph
    graph.node[-1].output[0] = "plain"
    graph.initializer.extend(
        numpy_helper.from_array(array, name)
        for name, array in {
            "nothing": np.zeros((3, 3, 1, 1), np.float32),
            "large": np.full(3, 20_001, np.float32),
            "almost": np.array(20_000, np.float32),
        }.items()
    )
    graph.node.extend(
        [
            helper.make_node("Conv", ["image", "nothing", "large"], ["huge"], "huge_conv"),
            helper.make_node("Sub", ["huge", "almost"], ["one"], "sub"),
            helper.make_node("Log", ["one"], ["zero"], "log"),
            helper.make_node("Add", ["plain", "zero"], ["logits"], "add"),
        ]
    )
    return model


def brightness_manifest(**changes: object) -> ModelManifest:
    fields = {
        "task": "segmentation",
        "inputs": [{"name": "image", "shape": [1, 3, HEIGHT, WIDTH]}],
        "outputs": [{"name": "logits", "shape": [1, 3, HEIGHT, WIDTH]}],
        "decoder": {"kind": "segment", "output": "logits", "labels": list(LABELS)},
        "licence": "Apache-2.0",
    }
    return ModelManifest.model_validate({**fields, **changes})


def _model(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name="linewarden-tests",
    )
