"""The README of a DeepStream folder: how to start it, and what is left to do."""

from __future__ import annotations

from inference_core.contract.manifest import ModelManifest
from inference_core.export.base import Origin

_TRY = """\
    gst-launch-1.0 uridecodebin uri=file:///picture.jpg ! mux.sink_0 \\
      nvstreammux name=mux batch-size=1 width=1280 height=720 ! \\
      nvinfer config-file-path=config_infer_primary.txt ! nvdsosd ! fakesink
"""

_PARSER = """\
## The parser that is missing

nvinfer's own detector parser reads DetectNet's grid (a coverage and a box tensor) and no other
layout, so the network is declared as type 100, "other", and its tensors travel as
`NvDsInferTensorMeta` on each frame. Either read them in a pad probe, or compile a library with

    extern "C" bool NvDsInferParseCustom(
        std::vector<NvDsInferLayerInfo> const &layers, NvDsInferNetworkInfo const &network,
        NvDsInferParseDetectionParams const &params,
        std::vector<NvDsInferObjectDetectionInfo> &objects);

and set `network-type=0`, `num-detected-classes={classes}`, `custom-lib-path=<library>`,
`parse-bbox-func-name=NvDsInferParseCustom`, `cluster-mode={cluster}`{nms}. What the
tensors mean stands in `manifest.json`, under `decoder`.
"""


def describe_folder(origin: Origin, notes: tuple[str, ...]) -> str:
    """Markdown. The thresholds of the manifest are in it where nvinfer would apply them."""
    tensors = "\n".join(
        f"- `{spec.name}`: {spec.dtype} {'×'.join(str(side or '?') for side in spec.shape)}"
        for spec in origin.manifest.outputs
    )
    told = "\n".join(f"- {note}" for note in notes) or "- Nothing."
    parts = [
        f"# {origin.name} for DeepStream\n",
        f"Try it:\n\n{_TRY}",
        f"## Outputs\n\n{tensors}\n",
        f"## What differs from Linewarden\n\n{told}\n",
    ]
    if hasattr(origin.manifest.decoder, "nms_iou"):
        parts.append(_describe_parser(origin.manifest))
    return "\n".join(parts)


def _describe_parser(manifest: ModelManifest) -> str:
    decoder = manifest.decoder
    iou = getattr(decoder, "nms_iou", 1.0)
    attributes = [
        "`[class-attrs-all]`",
        f"`pre-cluster-threshold={getattr(decoder, 'threshold', 0):g}`",
        f"`topk={getattr(decoder, 'max_boxes', 0)}`",
        *([f"`nms-iou-threshold={iou:g}`"] if iou < 1 else []),
    ]
    return _PARSER.format(
        classes=len(getattr(decoder, "labels", ())),
        cluster=2 if iou < 1 else 4,
        nms=" and, under " + ", ".join(attributes),
    )
