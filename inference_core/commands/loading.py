"""From a file that a person names to a loaded model: its manifest, its runtime, its alphabet."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import ValidationError

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import RuntimeName
from inference_core.errors import BadInput, RuntimeUnavailable
from inference_core.files import read_document
from inference_core.pipeline.models import LoadedModel, load_model
from inference_core.runtimes.base import SessionOptions
from inference_core.runtimes.lookup import get_runtime

MANIFEST_KEY = "linewarden.manifest"
"""Of the ONNX metadata: a whole manifest as JSON."""

RUNTIMES = [name.value for name in RuntimeName if name is not RuntimeName.FAKE]

_RUNTIMES_OF_SUFFIX: dict[str, tuple[RuntimeName, ...]] = {
    ".onnx": (RuntimeName.ONNXRUNTIME, RuntimeName.OPENVINO, RuntimeName.OPENCV_DNN),
    ".zip": (RuntimeName.OPENVINO,),
    ".tflite": (RuntimeName.LITERT,),
    ".engine": (RuntimeName.TENSORRT,),
    ".plan": (RuntimeName.TENSORRT,),
}
"""What can load a file, the likeliest first."""

SUFFIXES = tuple(_RUNTIMES_OF_SUFFIX)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """``--runtime``, ``--manifest`` and ``--threads``, alike in every command."""
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        help="default: what suits the file, for .onnx the first that is installed",
    )
    parser.add_argument(
        "--manifest", type=Path, help="default: MODEL.manifest.json or manifest.json beside it"
    )
    parser.add_argument("--threads", type=at_least_one, default=2, metavar="N", help="default: 2")


def at_least_one(text: str) -> int:
    """For ``type=`` of an argument: a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give a number of at least 1")
    return number


def above_zero(text: str) -> float:
    """For ``type=`` of an argument: a finite number above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("give a number above 0")
    return number


def load_for_cli(
    artifact: Path,
    *,
    given: Path | None = None,
    manifest: ModelManifest | None = None,
    runtime: str | None = None,
    options: SessionOptions = SessionOptions(threads=2),  # noqa: B008 it is frozen
) -> LoadedModel:
    """A model ready to run, with the runtime that was asked for or that suits the file.

    ``given`` is the file of a manifest; ``manifest`` is one that was read before.

    Raises ``BadInput``, ``LoadFailed`` and ``RuntimeUnavailable``, which says what to install.
    """
    require_file(artifact)
    name = choose_runtime(artifact) if runtime is None else RuntimeName(runtime)
    _require_readable(artifact, name)
    whole = resolve_from_file(manifest or read_manifest(artifact, given), artifact)
    return load_model(artifact, whole, name, options)


def read_manifest(artifact: Path, given: Path | None = None) -> ModelManifest:
    """The manifest that was given, lies beside the model, lies in it, or can be recognised.

    Raises ``BadInput``, which names what is missing.
    """
    require_file(artifact)
    if (written := given or find_manifest_beside(artifact)) is not None:
        return read_document(written, ModelManifest)
    if artifact.suffix == ".onnx" and (text := _read_metadata(artifact).get(MANIFEST_KEY)):
        return _parse_embedded(text, artifact)
    from inference_core.recognise import recognise

    return recognise(artifact)


def find_manifest_beside(artifact: Path) -> Path | None:
    """``MODEL.manifest.json`` or ``manifest.json`` in the model's folder; None for neither."""
    names = (f"{artifact.stem}.manifest.json", "manifest.json")
    beside = (artifact.with_name(name) for name in names)
    return next((path for path in beside if path.is_file()), None)


def resolve_from_file(manifest: ModelManifest, artifact: Path) -> ModelManifest:
    """An alphabet that lies in the ONNX, also for runtimes that drop the metadata."""
    if artifact.suffix != ".onnx" or getattr(manifest.decoder, "alphabet_key", None) is None:
        return manifest
    from inference_core.decode.ctc import resolve_alphabet

    try:
        return resolve_alphabet(manifest, _read_metadata(artifact))
    except RuntimeUnavailable:
        return manifest  # the runtime may well hand the metadata on


def choose_runtime(artifact: Path) -> RuntimeName:
    """The first runtime that is installed and reads such a file.

    Where none is, the likeliest: loading with it says what to install.
    """
    candidates = _RUNTIMES_OF_SUFFIX.get(artifact.suffix.lower())
    if candidates is None:
        known = ", ".join(_RUNTIMES_OF_SUFFIX)
        raise BadInput(f"what reads {artifact.name} is not known from its name; use {known}")
    return next(filter(_is_installed, candidates), candidates[0])


def _require_readable(artifact: Path, name: RuntimeName) -> None:
    suffix = artifact.suffix.lower()
    if name in _RUNTIMES_OF_SUFFIX.get(suffix, (name,)):
        return
    read = " or ".join(other for other, names in _RUNTIMES_OF_SUFFIX.items() if name in names)
    raise BadInput(
        f"{name} does not read {suffix} files, it reads {read}; make one from the ONNX model "
        f"with: infer build MODEL.onnx --runtime {name}"
    )


def _is_installed(name: RuntimeName) -> bool:
    try:
        get_runtime(name)
    except RuntimeUnavailable:
        return False
    return True


def require_file(path: Path) -> None:
    """Raises ``BadInput`` where there is no such file."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise BadInput(f"{path} {what}; give the file of a model")


def _read_metadata(artifact: Path) -> dict[str, str]:
    try:
        from inference_core.recognise.graph import read_graph
    except ImportError as error:
        raise RuntimeUnavailable(
            f"{artifact.name} cannot be looked into ({error}); write "
            f"{artifact.stem}.manifest.json beside it, or: pip install 'linewarden[onnx]'"
        ) from error
    return dict(read_graph(artifact).metadata)


def _parse_embedded(text: str, artifact: Path) -> ModelManifest:
    try:
        return ModelManifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise BadInput(
            f"the manifest inside {artifact.name} is broken: {place}: {first['msg']}"
        ) from error
