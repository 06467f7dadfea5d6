"""Class scores of the whole picture, of CNN and ViT alike, to the likeliest classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import ClassifyDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.activation import activate
from inference_core.decode.scores import calibrate, require_probabilities
from inference_core.decode.shapes import decoder_of, show
from inference_core.errors import DecodeFailed
from inference_core.image import Transform
from inference_core.results import Classes


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> Classes:
    """The ``top`` likeliest classes that have a label. Raises ``DecodeFailed``."""
    del transform  # a class has no place
    decoder = decoder_of(manifest, ClassifyDecoder)
    probability = activate(_read_scores(outputs, decoder), decoder.activation, axis=0)
    require_probabilities(probability)
    score = np.clip(calibrate(probability, decoder.calibration), 0.0, 1.0)
    order = [name for name in np.argsort(-score, kind="stable").tolist() if decoder.labels[name]]
    best = np.array(order[: decoder.top], dtype=np.int64)
    return Classes(labels=decoder.labels, class_id=best, score=score[best])


def _read_scores(outputs: Mapping[str, NDArray[Any]], decoder: ClassifyDecoder) -> NDArray[Any]:
    output, classes = outputs[decoder.output], len(decoder.labels)
    if output.shape not in ((1, classes), (1, classes, 1, 1)):
        raise DecodeFailed(
            f"output {decoder.output!r} is {show(output)}, but {classes} labels need "
            f"1×{classes} or 1×{classes}×1×1"
        )
    return output.reshape(classes)
