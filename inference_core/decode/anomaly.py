"""A map of how unlike the good parts a pixel is, to a score of the picture and its regions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import AnomalyDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.activation import Probabilities
from inference_core.decode.blobs import find_blobs, measure, shown_part, stride_of
from inference_core.decode.shapes import decoder_of, show
from inference_core.errors import DecodeFailed
from inference_core.image import Transform
from inference_core.results import Anomaly

_LABELS = ("anomaly",)


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> Anomaly:
    """Regions over the threshold, largest first, and the picture's score.

    Without an output for it the score is the highest of the part that shows the frame.
    Raises ``DecodeFailed``.
    """
    decoder = decoder_of(manifest, AnomalyDecoder)
    heat = _normalise(_read_map(outputs[decoder.map_output], decoder), decoder)
    shown = np.zeros_like(heat)
    part = shown_part(heat.shape, manifest, transform)
    shown[part] = heat[part]
    over = np.zeros(heat.shape, dtype=bool)
    over[part] = heat[part] >= decoder.threshold
    blobs = find_blobs(over, shown, 0, decoder.min_area_px)
    regions = measure(blobs, _LABELS, stride_of(heat.shape, manifest), transform)
    return Anomaly(score=_read_score(outputs, decoder, shown), regions=regions)


def _read_map(output: NDArray[Any], decoder: AnomalyDecoder) -> NDArray[Any]:
    flat = output[:, 0] if output.ndim == 4 and output.shape[1] == 1 else output
    if flat.ndim != 3 or flat.shape[0] != 1 or not flat.size:
        raise DecodeFailed(f"output {decoder.map_output!r} is {show(output)}, not 1×1×H×W or 1×H×W")
    return np.asarray(flat[0])


def _read_score(
    outputs: Mapping[str, NDArray[Any]], decoder: AnomalyDecoder, shown: Probabilities
) -> float:
    if decoder.score_output is None:
        return float(shown.max())
    output = outputs[decoder.score_output]
    if output.size != 1:
        raise DecodeFailed(f"output {decoder.score_output!r} is {show(output)}, not one score")
    return float(_normalise(output, decoder).item())


def _normalise(values: NDArray[Any], decoder: AnomalyDecoder) -> Probabilities:
    """0 where good parts lie, 1 at ``high`` and above."""
    span = decoder.high - decoder.low
    share = (np.asarray(values, dtype=np.float64) - decoder.low) / span
    return np.clip(share, 0.0, 1.0).astype(np.float32)
