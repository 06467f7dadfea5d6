"""Proves, by running both, how the tensors of a converted file lie beside those of the ONNX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from ai_edge_litert.interpreter import Interpreter

from inference_core.optimize.problem import ConversionFailed
from inference_core.optimize.tflite_convert import input_name, output_name
from inference_core.runtimes.base import Array
from inference_core.runtimes.litert_notes import TensorNote

_MAX_DIMENSIONS = 6
_TOLERANCE = 1e-3
"""Of the largest value. Sums in another order differ by 1e-5; another order of axes by 1."""

_ERRORS_ONLY = 3
_SEED = 7

Layout = tuple[tuple[TensorNote, ...], tuple[TensorNote, ...]]
"""Notes of inputs and of outputs, in the order of the file's graph."""


def prove_layout(folded: Path, converted: Path, sample: Mapping[str, Array]) -> Layout:
    """The order of axes with which the file answers as the ONNX does.

    A shape does not tell which of two equal sides is which, so the values must: a picture, and
    noise in which no two rows are alike. Raises ``ConversionFailed`` where no order fits: then
    the converter has made another net of it.
    """
    reference = _Reference(folded, [dict(sample), _make_noise(sample)])
    session = _Converted(converted, reference)
    problems = []
    for axes in session.guess_inputs():
        found, problem = session.match_outputs(axes)
        if problem is None:
            return session.note(axes, found)
        problems.append(problem)
    raise ConversionFailed(f"the converted graph is another one: {problems[0]}")


def _make_noise(sample: Mapping[str, Array]) -> dict[str, Array]:
    generator = np.random.default_rng(_SEED)
    return {
        name: generator.uniform(array.min(), array.max(), array.shape).astype(array.dtype)
        for name, array in sample.items()
    }


class _Reference:
    """The ONNX and its answers."""

    def __init__(self, folded: Path, feeds: Sequence[Mapping[str, Array]]) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        session = ort.InferenceSession(str(folded), options, providers=["CPUExecutionProvider"])
        self.inputs = [item.name for item in session.get_inputs()]
        self.outputs = [item.name for item in session.get_outputs()]
        self.feeds = feeds
        self.answers: list[list[Array]] = [session.run(self.outputs, dict(feed)) for feed in feeds]


class _Converted:
    """The TFLite file beside its reference."""

    def __init__(self, converted: Path, reference: _Reference) -> None:
        self._interpreter = Interpreter(str(converted), num_threads=1)
        self._interpreter.allocate_tensors()
        self._reference = reference
        [signature] = self._interpreter.get_signature_list()
        runner = self._interpreter.get_signature_runner(signature)
        self._takes = _in_order(runner.get_input_details(), input_name, reference.inputs)
        self._gives = _in_order(runner.get_output_details(), output_name, reference.outputs)

    def guess_inputs(self) -> Iterator[tuple[tuple[int, ...], ...]]:
        """Every order of axes that the shapes allow, for all inputs."""
        shapes = [self._reference.feeds[0][name].shape for name in self._reference.inputs]
        pairs = zip(shapes, self._takes, strict=True)
        return product(*(list_orders(shape, detail["shape"].tolist()) for shape, detail in pairs))

    def match_outputs(
        self, axes: tuple[tuple[int, ...], ...]
    ) -> tuple[list[tuple[int, ...]], str | None]:
        """The orders of the outputs, or what is wrong with one of them."""
        answers = [self._run(feed, axes) for feed in self._reference.feeds]
        found = []
        for number, name in enumerate(self._reference.outputs):
            expected = [answer[number] for answer in self._reference.answers]
            actual = [answer[number] for answer in answers]
            orders = list_orders(expected[0].shape, actual[0].shape)
            errors = {order: _measure_error(expected, actual, order) for order in orders}
            best = min(errors, key=errors.__getitem__, default=None)
            if best is None:
                return [], f"output {name!r} has the shape {actual[0].shape}"
            if not errors[best] <= _TOLERANCE:
                return [], f"output {name!r} differs by {errors[best]:.2%} of its largest value"
            found.append(best)
        return found, None

    def note(self, axes: Sequence[tuple[int, ...]], found: Sequence[tuple[int, ...]]) -> Layout:
        """The answer, in the order of the file's graph."""
        return (
            _note(self._interpreter.get_input_details(), self._takes, self._reference.inputs, axes),
            _note(
                self._interpreter.get_output_details(), self._gives, self._reference.outputs, found
            ),
        )

    def _run(self, feed: Mapping[str, Array], axes: tuple[tuple[int, ...], ...]) -> list[Array]:
        names = self._reference.inputs
        for name, detail, order in zip(names, self._takes, axes, strict=True):
            self._interpreter.set_tensor(
                detail["index"], np.ascontiguousarray(feed[name].transpose(order))
            )
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(detail["index"]) for detail in self._gives]


def list_orders(given: Sequence[int], wanted: Sequence[int]) -> list[tuple[int, ...]]:
    """Orders of axes that turn one shape into the other, without those that move the same numbers.

    Where an axis of length one goes changes nothing. The order as it is comes first.
    """
    if len(given) != len(wanted) or len(given) > _MAX_DIMENSIONS:
        return []
    orders: dict[tuple[int, ...], tuple[int, ...]] = {}
    for order in permutations(range(len(given))):
        if [given[axis] for axis in order] == list(wanted):
            orders.setdefault(tuple(axis for axis in order if given[axis] > 1), order)
    return list(orders.values())


def _measure_error(
    expected: Sequence[Array], actual: Sequence[Array], order: tuple[int, ...]
) -> float:
    """Largest difference as a share of the largest value; NaN where one of them is."""
    worst = 0.0
    for reference, array in zip(expected, actual, strict=True):
        wanted = reference.transpose(order).astype(np.float64)
        scale = max(float(np.abs(wanted).max(initial=0)), 1e-6)
        worst = max(worst, float(np.abs(wanted - array).max(initial=0)) / scale)
    return worst


def _in_order(details: Mapping[str, Any], rename: Any, names: Sequence[str]) -> list[Any]:
    absent = [name for number, name in enumerate(names) if rename(number) not in details]
    if absent:
        raise ConversionFailed(f"the converted graph lost {absent[0]!r}")
    return [details[rename(number)] for number in range(len(names))]


def _note(
    graph: Sequence[Any],
    details: Sequence[Any],
    names: Sequence[str],
    axes: Sequence[tuple[int, ...]],
) -> tuple[TensorNote, ...]:
    by_index = {
        detail["index"]: TensorNote(name=name, axes=order)
        for detail, name, order in zip(details, names, axes, strict=True)
    }
    if sorted(by_index) != sorted(item["index"] for item in graph):
        raise ConversionFailed("the converted graph has other inputs or outputs than its signature")
    return tuple(by_index[item["index"]] for item in graph)
