"""What a graph must be, and where it must agree with its manifest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import onnx

from inference_core.contract.build import TensorFacts
from inference_core.contract.decoders import CtcDecoder
from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.inspection.problem import (
    MAX_ELEMENTS,
    MAX_RANK,
    MAX_TOTAL_ELEMENTS,
    RefusedError,
)
from inference_core.inspection.reader import graphs, nodes, stored_tensors

OWN_DOMAINS = frozenset({"", "ai.onnx"})


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the standard operator set that the graph asks for."""
    versions = [entry.version for entry in model.opset_import if entry.domain in OWN_DOMAINS]
    newest = onnx.defs.onnx_opset_version()
    if not versions or not 1 <= max(versions) <= newest:
        raise RefusedError(
            "unknown_operator", f"the graph asks for operator set {versions}; 1 to {newest} exist"
        )
    return int(max(versions))


def check_operators(model: onnx.ModelProto) -> None:
    """Refuse operators that are not of the standard set: no runtime could be held to them."""
    opset = opset_of(model)
    if model.functions:
        raise RefusedError(
            "unknown_operator", "the model brings functions of its own; export it with them inlined"
        )
    for node in nodes(model):
        if node.domain not in OWN_DOMAINS:
            raise RefusedError(
                "unknown_operator",
                f"operator {node.op_type!r} is of domain {node.domain!r}; only standard ONNX "
                "operators run on every runtime",
            )
        if not onnx.defs.has(node.op_type, opset):
            raise RefusedError(
                "unknown_operator", f"operator {node.op_type!r} is not in operator set {opset}"
            )


def check_sizes(model: onnx.ModelProto) -> None:
    """Refuse a tensor, stored or only declared, that no edge device could hold."""
    for tensor in stored_tensors(model):
        _check_size(tensor.name, tensor.dims)
    total = 0
    for graph in graphs(model):
        for value in (*graph.input, *graph.output, *graph.value_info):
            sides = [size for size in shape_of(value) if size is not None]
            _check_size(value.name, sides)
            total += math.prod(sides)
    if total > MAX_TOTAL_ELEMENTS:
        raise RefusedError(
            "too_large",
            f"the tensors between its nodes hold {total} elements together; at most "
            f"{MAX_TOTAL_ELEMENTS} are taken. Export it for a smaller input",
        )


def check_tensors(
    found: Sequence[TensorFacts], asked: Iterable[TensorSpec], side: str, *, complete: bool
) -> None:
    """Hold the graph's tensors to the manifest's. ``complete``: the graph may have no others."""
    facts = {fact.name: fact for fact in found}
    specs = {spec.name: spec for spec in asked}
    for name, spec in specs.items():
        if name not in facts:
            raise RefusedError(
                "absent_tensor", f"the graph has no {side} {name!r}; it has {sorted(facts)}"
            )
        _check_tensor(facts[name], spec, side)
    if complete and (others := sorted(set(facts) - set(specs))):
        raise RefusedError("absent_tensor", f"the manifest does not name the {side}s {others}")


def check_alphabet(model: onnx.ModelProto, manifest: ModelManifest) -> None:
    """Refuse a recogniser whose characters are absent, or are not as many as its classes."""
    decoder = manifest.decoder
    if not isinstance(decoder, CtcDecoder):
        return
    characters = decoder.alphabet or _stored_alphabet(model, decoder.alphabet_key or "")
    classes = 1 + len(characters) + decoder.space_at_end
    scored = next(spec.shape[-1] for spec in manifest.outputs if spec.name == decoder.output)
    if classes != scored:
        raise RefusedError(
            "shape_mismatch",
            f"the alphabet with its blank makes {classes} classes, but output "
            f"{decoder.output!r} scores {scored}; is there a space_at_end?",
        )


def shape_of(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    """Declared dimensions; None is one left open."""
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)


def dtype_of(value: onnx.ValueInfoProto) -> str:
    """Name of the element type as numpy spells it, or of the ONNX enum where numpy has none."""
    number = value.type.tensor_type.elem_type
    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(number))
    except (KeyError, TypeError, ValueError):
        return f"type {number}"


def _stored_alphabet(model: onnx.ModelProto, key: str) -> list[str]:
    values: dict[str, str] = {entry.key: entry.value for entry in model.metadata_props}
    if not values.get(key):
        raise RefusedError(
            "missing_alphabet", f"the model's metadata has no {key!r}; it has {sorted(values)}"
        )
    return values[key].removesuffix("\n").split("\n")


def _check_size(name: str, dims: Sequence[int]) -> None:
    if len(dims) > MAX_RANK or min(dims, default=0) < 0 or math.prod(dims) > MAX_ELEMENTS:
        raise RefusedError(
            "too_large",
            f"tensor {name!r} has the dimensions {list(dims)[:MAX_RANK]}; at most {MAX_RANK} that "
            f"hold {MAX_ELEMENTS} elements are taken",
        )


def _check_tensor(fact: TensorFacts, spec: TensorSpec, side: str) -> None:
    fits = len(fact.shape) == len(spec.shape) and all(
        None in (has, asked) or has == asked
        for has, asked in zip(fact.shape, spec.shape, strict=True)
    )
    if not fits:
        shape = ["?" if size is None else size for size in fact.shape]
        raise RefusedError(
            "shape_mismatch",
            f"{side} {fact.name!r} is {shape}, but the manifest says {list(spec.shape)}",
        )
    if fact.dtype != spec.dtype:
        raise RefusedError(
            "shape_mismatch",
            f"{side} {fact.name!r} is {fact.dtype}, but the manifest says {spec.dtype}",
        )
