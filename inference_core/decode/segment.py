"""Per-pixel class scores to connected regions, measured in the frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import SegmentDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.activation import Probabilities, activate
from inference_core.decode.blobs import find_blobs, measure, shown_part, stride_of
from inference_core.decode.shapes import decoder_of
from inference_core.errors import DecodeFailed
from inference_core.image import Transform
from inference_core.results import Regions


def read_probabilities(output: NDArray[Any], decoder: SegmentDecoder) -> Probabilities:
    """C×H×W probabilities from the output 1×C×H×W. Raises ``DecodeFailed`` for another shape."""
    if output.ndim != 4 or output.shape[:2] != (1, len(decoder.labels)):
        raise DecodeFailed(f"the decoder reads 1×{len(decoder.labels)}×H×W, got {output.shape}")
    return activate(output[0], decoder.activation, axis=0)


def label_pixels(probabilities: Probabilities, decoder: SegmentDecoder) -> NDArray[np.int32]:
    """H×W of class indices: the likeliest class, or background where it is below the threshold."""
    best: NDArray[np.int32] = probabilities.argmax(axis=0).astype(np.int32)
    best[probabilities.max(axis=0) < decoder.threshold] = decoder.background
    return best


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> Regions:
    """The regions of every class but the background, largest first."""
    decoder = decoder_of(manifest, SegmentDecoder)
    probabilities = read_probabilities(outputs[decoder.output], decoder)
    classes = label_pixels(probabilities, decoder)
    shown = np.full_like(classes, decoder.background)
    part = shown_part(classes.shape, manifest, transform)
    shown[part] = classes[part]
    blobs = [
        blob
        for class_id in np.unique(shown).tolist()
        if class_id != decoder.background
        for blob in find_blobs(
            shown == class_id, probabilities[class_id], class_id, decoder.min_area_px
        )
    ]
    return measure(blobs, decoder.labels, stride_of(shown.shape, manifest), transform)
