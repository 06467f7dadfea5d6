"""Asks the sandboxed child about foreign files; not one byte of them is parsed in the server."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inference_core.contract.base import Message
from inference_core.contract.build import InspectionReport, InspectionResult
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec
from server.lib.children import ChildLimits, Completed, Ending, run_core
from server.lib.errors import Invalid, Unavailable
from server.lib.messages import read_data

INSPECT_TIMEOUT_S = 120.0
CHECK_TIMEOUT_S = 60.0
_LIMITS = ChildLimits(cpu_s=120, file_bytes=64 * 1024**2)

logger = logging.getLogger(__name__)


class _Problems(Message):
    problems: tuple[str, ...]


class _Recognition(Message):
    """What the child adds to its report where no manifest was given."""

    manifest_origin: str
    manifest: dict[str, Any] | None
    missing: tuple[str, ...] = ()
    manifest_problem: str | None = None


def inspect_model(model: Path, manifest: ModelManifest) -> InspectionReport:
    """What the file holds; Invalid with the child's code and sentence where it may not be used."""
    with tempfile.TemporaryDirectory(prefix="linewarden-inspect-") as folder:
        document = Path(folder, "manifest.json")
        document.write_bytes(manifest.to_json())
        done = run_core(
            ["inspect", str(model), "--manifest", str(document), "--json", "--limits"],
            timeout_s=INSPECT_TIMEOUT_S,
            limits=_LIMITS,
        )
    return _report(done)


def recognise_model(model: Path) -> tuple[InspectionReport, ModelManifest, str]:
    """What a file without a manifest holds, the manifest that its exporter told, and who told it.

    Raises Invalid where the file may not be used, or where it does not say all that is needed:
    the problem names what is missing.
    """
    done = run_core(
        ["inspect", str(model), "--json", "--limits"],
        timeout_s=INSPECT_TIMEOUT_S,
        limits=_LIMITS,
    )
    report = _report(done)
    try:
        found = _Recognition.model_validate_json(done.stdout)
    except ValidationError:
        raise _inspection_failed(done) from None
    origin = _printable(found.manifest_origin.replace(str(model), "the file"), 200)
    if found.manifest is None or found.manifest_problem:
        raise _not_recognised(found, origin, model)
    return report, read_data(ModelManifest, found.manifest), origin


def _not_recognised(found: _Recognition, origin: str, model: Path) -> Invalid:
    missing = [_printable(what, 200) for what in found.missing]
    if missing:
        why = f"It does not say {', '.join(missing)}."
    else:
        told = (found.manifest_problem or "It says nothing of itself.").replace(
            f"{model.parent}/", ""
        )
        why = _printable(told, 500)
    return Invalid(
        f"The model came without a manifest, and none could be made ({origin}). {why} Send a "
        "manifest with it; `infer inspect FILE --skeleton` makes a start.",
        missing=missing,
        origin=origin,
    )


def _printable(text: str, length: int) -> str:
    """Foreign text in a sentence of ours: one line, and not too long."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:length])


def embed_weights(model: Path, whole: Path, *, max_bytes: int) -> None:
    """Write the model with all weights that lie beside it to ``whole``, which is not there yet.

    Raises Invalid where they are not what the graph says.
    """
    done = run_core(
        ["embed", str(model), "-o", str(whole), "--json", "--limits"],
        timeout_s=INSPECT_TIMEOUT_S,
        limits=ChildLimits(cpu_s=120, file_bytes=max_bytes + 64 * 1024**2),
    )
    if done.returncode == 0 and whole.exists():
        return
    _report(done)
    raise _inspection_failed(done)


def check_rules(pipeline: PipelineSpec, manifests: Mapping[str, ModelManifest]) -> None:
    """Raise Invalid where a rule cannot be evaluated on what the models give."""
    with tempfile.TemporaryDirectory(prefix="linewarden-check-") as folder:
        document = Path(folder, "pipeline.json")
        document.write_bytes(pipeline.to_json())
        arguments = ["check", str(document), "--json"]
        for number, (name, manifest) in enumerate(sorted(manifests.items())):
            path = Path(folder, f"manifest-{number}.json")
            path.write_bytes(manifest.to_json())
            arguments += ["--manifest", f"{name}={path}"]
        done = run_core(arguments, timeout_s=CHECK_TIMEOUT_S, limits=_LIMITS)
    problems = _problems(done)
    if problems:
        raise Invalid(f"The rules do not hold: {problems[0]}", problems=problems)


def _report(done: Completed) -> InspectionReport:
    try:
        result = InspectionResult.model_validate_json(done.stdout)
    except ValidationError:
        raise _inspection_failed(done) from None
    if result.problem is not None:
        raise Invalid(
            f"The model is refused: {result.problem.detail}", inspection=result.problem.code
        )
    if result.report is None:
        raise _inspection_failed(done)
    return result.report


def _inspection_failed(done: Completed) -> Invalid | Unavailable:
    """A file that kills its inspector is the file's fault; what was never started is ours."""
    logger.warning("inspection ended with %s: %s", done.returncode, done.stderr_tail)
    if done.returncode >= 0 and done.ending is Ending.ITSELF:
        return Unavailable("The model could not be inspected here; the server's log says why.")
    return Invalid(
        "The model is refused: it could not be inspected within the time and memory that an "
        "inspection has.",
        inspection="inspection_failed",
    )


def _problems(done: Completed) -> list[str]:
    try:
        return list(_Problems.model_validate(json.loads(done.stdout)).problems)
    except ValueError:
        logger.warning("rules could not be checked: %s %s", done.returncode, done.stderr_tail)
        raise Unavailable("The rules could not be checked; the server's log says why.") from None
