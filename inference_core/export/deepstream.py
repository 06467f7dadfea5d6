"""A folder for DeepStream's nvinfer: the same pixels in, and what its own parsers can read out.

nvinfer computes ``net-scale-factor * (pixel - offset)``, one factor for all channels. What goes
beyond that is moved into the graph where it can be, and refused where it cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inference_core.contract.decoders import ClassifyDecoder, SegmentDecoder
from inference_core.contract.manifest import ModelManifest, Preprocess
from inference_core.errors import BadInput
from inference_core.export.base import Export, Origin, list_labels
from inference_core.export.deepstream_notes import describe_folder
from inference_core.export.surgery import activate_output, scale_channels

_COLOURS = {"rgb": 0, "bgr": 1, "gray": 2}
_FILTERS = {"nearest": 0, "linear": 1, "cubic": 2, "area": 3}
"""NvBufSurfTransform_Inter; 3 is "super sampling", the nearest that it has to area."""

_DETECTOR, _CLASSIFIER, _SEGMENTATION, _OTHER = 0, 1, 2, 100
_FP32, _INT8, _FP16 = 0, 1, 2
_PRECISIONS = {"fp32": _FP32, "int8": _INT8, "fp16": _FP16}

CONFIG_FILE = "config_infer_primary.txt"
LABELS_FILE = "labels.txt"

Keys = dict[str, object]


@dataclass(frozen=True)
class _Normalisation:
    """nvinfer's factor and offsets, and what the graph must still multiply each channel by."""

    factor: float
    offsets: tuple[float, ...]
    left_over: tuple[float, ...] | None


def export_deepstream(origin: Origin) -> Export:
    """Configuration, labels, model and a README. Raises ``BadInput`` for what nvinfer cannot do."""
    manifest = origin.manifest
    _check(manifest)
    normalisation = _split(manifest.preprocess)
    model_file, model = _make_model(origin, normalisation)
    notes = _list_notes(origin)
    labels = list_labels(manifest)
    keys = {
        **_describe_model(origin, model_file),
        **_describe_input(manifest, normalisation),
        **_describe_output(manifest),
        **({"labelfile-path": LABELS_FILE} if labels else {}),
    }
    files = {
        CONFIG_FILE: _render(keys).encode(),
        model_file: model,
        "manifest.json": manifest.to_json(),
        "README.md": describe_folder(origin, notes).encode(),
    }
    if labels:
        files[LABELS_FILE] = _render_labels(manifest, labels).encode()
    return Export(files, notes)


def _check(manifest: ModelManifest) -> None:
    preprocess, spec = manifest.preprocess, manifest.inputs[0]
    if preprocess.lighting != "none":
        raise BadInput(
            f"nvinfer cannot normalise the light ({preprocess.lighting}); do it in an element "
            "before it, and export with lighting none"
        )
    if preprocess.resize in {"crop", "pad_right"}:
        raise BadInput(
            f"nvinfer cannot resize with {preprocess.resize!r}; it stretches, or keeps the aspect "
            "ratio and pads. Crop with nvdspreprocess, and export with stretch"
        )
    if spec.dtype != "float32":
        raise BadInput(f"nvinfer feeds float32, and the input {spec.name!r} is {spec.dtype}")
    if spec.fixed_shape[0] != 1:
        raise BadInput(f"export a model with a batch of 1, not {spec.fixed_shape[0]}")
    if odd := [each.name for each in manifest.outputs if ";" in each.name]:
        raise BadInput(f"nvinfer splits names at semicolons, and there is an output {odd[0]!r}")


def _split(preprocess: Preprocess) -> _Normalisation:
    """``(pixel * scale - mean) / std`` is ``scale / std * (pixel - mean / scale)``."""
    channels = 1 if preprocess.colour == "gray" else 3
    offsets = tuple(float(m) / preprocess.scale for m in np.broadcast_to(preprocess.mean, channels))
    std = tuple(float(each) for each in np.broadcast_to(preprocess.std, channels))
    if len(set(std)) == 1:
        return _Normalisation(preprocess.scale / std[0], offsets, None)
    return _Normalisation(preprocess.scale, offsets, tuple(1 / each for each in std))


def _make_model(origin: Origin, normalisation: _Normalisation) -> tuple[str, bytes]:
    manifest = origin.manifest
    activation = _missing_activation(manifest)
    if origin.graph is None:
        if normalisation.left_over or activation:
            what = "a std for each channel" if normalisation.left_over else f"its {activation}"
            raise BadInput(
                f"{what} must go into the graph, and an engine is closed; export the ONNX"
            )
        return "model.engine", origin.plan
    graph = origin.graph
    if normalisation.left_over:
        axis = 1 if manifest.preprocess.layout == "nchw" else 3
        graph = scale_channels(graph, manifest.inputs[0].name, normalisation.left_over, axis)
    if activation:
        graph = activate_output(graph, manifest.decoder.reads[0], activation, axis=1)
    return "model.onnx", graph.SerializeToString()


def _missing_activation(manifest: ModelManifest) -> str | None:
    """Its classifier and segmenter compare probabilities; they make none."""
    decoder = manifest.decoder
    if isinstance(decoder, (ClassifyDecoder, SegmentDecoder)) and decoder.activation != "none":
        return decoder.activation
    return None


def _describe_model(origin: Origin, model_file: str) -> Keys:
    keys: Keys = {"gpu-id": 0, "gie-unique-id": 1, "process-mode": 1, "interval": 0}
    if origin.engine is None:
        keys["onnx-file"] = model_file
        keys["model-engine-file"] = f"{model_file}_b1_gpu0_fp32.engine"
        mode = _INT8 if _holds_qdq(origin) else _FP32
        return {**keys, "batch-size": 1, "network-mode": mode}
    mode = _PRECISIONS[origin.engine.precision]
    return {**keys, "model-engine-file": model_file, "batch-size": 1, "network-mode": mode}


def _holds_qdq(origin: Origin) -> bool:
    nodes = origin.graph.graph.node if origin.graph else ()
    return any(node.op_type == "QuantizeLinear" for node in nodes)


def _describe_input(manifest: ModelManifest, normalisation: _Normalisation) -> Keys:
    preprocess = manifest.preprocess
    width, height = manifest.input_size
    channels = 1 if preprocess.colour == "gray" else 3
    return {
        "infer-dims": f"{channels};{height};{width}",
        "network-input-order": 0 if preprocess.layout == "nchw" else 1,
        "model-color-format": _COLOURS[preprocess.colour],
        "net-scale-factor": f"{normalisation.factor:.17g}",
        "offsets": ";".join(f"{each:.9g}" for each in normalisation.offsets),
        "maintain-aspect-ratio": int(preprocess.resize != "stretch"),
        "symmetric-padding": int(preprocess.resize == "letterbox"),
        "scaling-filter": _FILTERS[preprocess.interpolation],
    }


def _describe_output(manifest: ModelManifest) -> Keys:
    """Tensors go along as metadata where nvinfer has no parser: nothing is misread meanwhile."""
    decoder = manifest.decoder
    names = ";".join(spec.name for spec in manifest.outputs)
    if isinstance(decoder, ClassifyDecoder):
        return {"network-type": _CLASSIFIER, "output-blob-names": names, "classifier-threshold": 0}
    if isinstance(decoder, SegmentDecoder):
        return {
            "network-type": _SEGMENTATION,
            "output-blob-names": names,
            "num-detected-classes": len(decoder.labels),
            "segmentation-threshold": decoder.threshold,
            "segmentation-output-order": 0,
        }
    return {"network-type": _OTHER, "output-blob-names": names, "output-tensor-meta": 1}


def _list_notes(origin: Origin) -> tuple[str, ...]:
    preprocess = origin.manifest.preprocess
    notes = []
    if preprocess.resize != "stretch" and preprocess.pad_value:
        notes.append(
            f"nvinfer pads with black, the model was trained with {preprocess.pad_value:g}."
        )
    if preprocess.interpolation == "area":
        notes.append("nvinfer has no area interpolation; super sampling is the nearest to it.")
    if origin.engine is None:
        notes.append(
            "nvinfer builds the engine at its first start and keeps it beside the ONNX, where it "
            "must be allowed to write; it does not pass the parity gate."
        )
    if _holds_qdq(origin):
        notes.append(
            "The graph holds Q/DQ: build it strongly typed, with infer build or trtexec "
            "--stronglyTyped, and name the result in model-engine-file."
        )
    if _describe_output(origin.manifest)["network-type"] == _OTHER:
        notes.append(
            f"nvinfer has no parser for {origin.manifest.decoder.kind!r}: the output tensors are "
            "attached as metadata (output-tensor-meta=1) for a probe or a parser of yours."
        )
    return tuple(notes)


def _render(keys: Keys) -> str:
    return "[property]\n" + "".join(f"{key}={value}\n" for key, value in keys.items())


def _render_labels(manifest: ModelManifest, labels: tuple[str, ...]) -> str:
    """A line a label; for a classifier one line for its one attribute, parted by semicolons."""
    if not isinstance(manifest.decoder, ClassifyDecoder):
        return "\n".join(labels) + "\n"
    if odd := [label for label in labels if ";" in label]:
        raise BadInput(f"nvinfer parts labels by semicolons, and there is a label {odd[0]!r}")
    return ";".join(labels) + "\n"
