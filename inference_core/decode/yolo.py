"""The single output of YOLO: boxes and scores side by side, before NMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import YoloDecoder
from inference_core.contract.manifest import ModelManifest
from inference_core.decode.activation import activate
from inference_core.decode.boxes import finish, to_pixels
from inference_core.decode.scores import Chosen, choose_best, lowest_raw
from inference_core.decode.shapes import Table, decoder_of, read_columns, read_table
from inference_core.image import Transform
from inference_core.results import Boxes


def decode(
    outputs: Mapping[str, NDArray[Any]], manifest: ModelManifest, transform: Transform
) -> Boxes:
    """The likeliest class of each place. Raises ``DecodeFailed``."""
    decoder = decoder_of(manifest, YoloDecoder)
    output, classes = outputs[decoder.output], len(decoder.labels)
    if decoder.version == "v5":
        places = read_table(decoder.output, output, classes + 5, why=f"v5 with {classes} labels")
        chosen = _choose_v5(places, decoder)
    else:
        # A view: thresholds run along the memory, and only what is chosen is turned around.
        places = read_columns(decoder.output, output, classes + 4, why=f"v8 with {classes} labels")
        chosen = choose_best(places[:, 4:], decoder, decoder.activation)
    xyxy = to_pixels(places[chosen.row, :4], "cxcywh", decoder.unit, manifest)
    return finish(chosen, xyxy, manifest, transform)


def _choose_v5(places: Table, decoder: YoloDecoder) -> Chosen:
    """Objectness bounds the product from above, so it alone sorts out most places."""
    (row,) = np.nonzero(places[:, 4] >= lowest_raw(decoder, decoder.activation))
    likely = activate(places[row, 4:], decoder.activation, axis=1)
    chosen = choose_best(likely[:, :1] * likely[:, 1:], decoder)
    return Chosen(row[chosen.row], chosen.class_id, chosen.score)
