"""Outputs as the tables that decoders read, or a sentence that says what is wrong with them."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inference_core.contract.decoders import Decoder
from inference_core.contract.manifest import ModelManifest
from inference_core.errors import DecodeFailed

Table = NDArray[Any]

D = TypeVar("D")


def decoder_of(manifest: ModelManifest, kind: type[D]) -> D:
    """The manifest's decoder, which must be of ``kind``. Raises ``DecodeFailed``."""
    decoder: Decoder = manifest.decoder
    if not isinstance(decoder, kind):
        raise DecodeFailed(f"the manifest says {decoder.kind!r}, which another decoder reads")
    return decoder


def read_table(name: str, output: NDArray[Any], columns: int, *, why: str) -> Table:
    """N×``columns`` from an output 1×N×``columns``; ``why`` says what makes so many columns.

    Raises ``DecodeFailed`` for another shape.
    """
    if output.ndim != 3 or output.shape[0] != 1 or output.shape[2] != columns:
        raise DecodeFailed(f"output {name!r} is {show(output)}, but {why} needs 1×N×{columns}")
    return np.asarray(output[0])


def read_columns(name: str, output: NDArray[Any], columns: int, *, why: str) -> Table:
    """N×``columns`` from an output 1×``columns``×N; a view, as ``read_table``."""
    if output.ndim != 3 or output.shape[:2] != (1, columns):
        raise DecodeFailed(f"output {name!r} is {show(output)}, but {why} needs 1×{columns}×N")
    return np.asarray(output[0].T)


def read_list(name: str, output: NDArray[Any], length: int | None = None) -> Table:
    """N values from an output N or 1×N. Raises ``DecodeFailed`` for another shape or length."""
    values = output[0] if output.ndim == 2 and output.shape[0] == 1 else output
    if values.ndim != 1 or length not in (None, len(values)):
        raise DecodeFailed(f"output {name!r} is {show(output)}, not a list of {length or 'N'}")
    return np.asarray(values)


def require_length(name: str, table: Table, length: int) -> None:
    """Raises ``DecodeFailed`` unless ``table`` has a row for each of ``length`` places."""
    if len(table) != length:
        raise DecodeFailed(f"output {name!r} has {len(table)} rows, but there are {length} places")


def show(output: NDArray[Any]) -> str:
    """A shape as people write it."""
    return "×".join(map(str, output.shape)) or "one number"
