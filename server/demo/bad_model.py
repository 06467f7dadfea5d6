"""Make the release of the sample story that must not stay: `board-defects-contrast`.

    python -m server.demo.bad_model

A plausible mistake. Somebody puts a contrast normalisation in front of the good defect model,

    x' = (x - mean(x)) / sqrt(var(x) - NOISE_FLOOR) * TYPICAL_SPREAD + TYPICAL_MEAN

taking off the variance that sensor noise adds, and scales the logits by the spread so that a
picture without contrast makes no confident claims. In daylight, which is all that the golden and
the calibration set know, the model is as good as before, and the build certifies it. In evening
light the variance lies below the floor, the root is taken of a negative number, and every logit is
NaN: only probation on a device that sees the evening can find that.

Both ends of the graph are needed. ReLU may be computed as max(0, x), which turns NaN into 0 on some
runtimes; the factor at the logits carries it out on all of them. Runs without PyTorch.
"""

import argparse
from collections.abc import MutableSequence
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

# Variance of x in 0-1 over the whole picture: daylight gives 0.025 and more, evening 0.007 at most.
NOISE_FLOOR = 0.012
# What the good model was trained on, as medians: the mean, and sqrt(variance - NOISE_FLOOR).
TYPICAL_MEAN = 0.374
TYPICAL_SPREAD = 0.16

MODELS = Path(__file__).parent / "models"
GOOD = MODELS / "board-defects" / "model.onnx"
BAD = MODELS / "board-defects-contrast" / "model.onnx"

_CONSTANTS = {
    "noise_floor": NOISE_FLOOR,
    "typical_mean": TYPICAL_MEAN,
    "typical_spread": TYPICAL_SPREAD,
}


def add_contrast(good: ModelProto) -> ModelProto:
    """The defect model with the faulty normalisation around it; same names, same shapes."""
    bad = ModelProto()
    bad.CopyFrom(good)
    graph = bad.graph
    image, logits = graph.input[0].name, graph.output[0].name
    for node in graph.node:
        _rename(node.input, image, "even_image")
        _rename(node.output, logits, "plain_logits")
    nodes = [*_even_out(image), *graph.node, *_cool(logits)]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(_constants())
    onnx.checker.check_model(bad, full_check=True)
    return bad


def _even_out(image: str) -> list[NodeProto]:
    """`image` float32 1x3xHxW to `even_image` of that shape, with a fixed mean and contrast."""
    return [
        _mean(image, "mean"),
        _node("Sub", [image, "mean"], "centred"),
        _node("Mul", ["centred", "centred"], "squared"),
        _mean("squared", "variance"),
        _node("Sub", ["variance", "noise_floor"], "signal"),
        _node("Sqrt", ["signal"], "spread"),
        _node("Div", ["centred", "spread"], "unit_contrast"),
        _node("Mul", ["unit_contrast", "typical_spread"], "even_contrast"),
        _node("Add", ["even_contrast", "typical_mean"], "even_image"),
    ]


def _cool(logits: str) -> list[NodeProto]:
    """`plain_logits` to `logits`: a positive factor, so no class changes while it is a number."""
    return [
        _node("Div", ["spread", "typical_spread"], "confidence"),
        _node("Mul", ["plain_logits", "confidence"], logits),
    ]


def _constants() -> list[TensorProto]:
    """Scalars as 1x1x1x1: not every runtime broadcasts a tensor without dimensions."""
    return [
        numpy_helper.from_array(np.full((1, 1, 1, 1), value, np.float32), name)
        for name, value in _CONSTANTS.items()
    ]


def _node(operator: str, inputs: list[str], output: str) -> NodeProto:
    return helper.make_node(operator, inputs, [output], name=output)


def _mean(tensor: str, output: str) -> NodeProto:
    """The mean over the whole picture, 1x1x1x1."""
    return helper.make_node("ReduceMean", [tensor], [output], output, axes=[1, 2, 3], keepdims=1)


def _rename(names: MutableSequence[str], old: str, new: str) -> None:
    for index, name in enumerate(names):
        if name == old:
            names[index] = new


def main() -> None:
    """Read the good model, write the bad one."""
    parser = argparse.ArgumentParser(description="Make the sample release that must not stay.")
    parser.add_argument("--good", type=Path, default=GOOD)
    parser.add_argument("--out", type=Path, default=BAD)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    bad = add_contrast(onnx.load(options.good))
    options.out.write_bytes(bad.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
