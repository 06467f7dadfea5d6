"""Asks the sandboxed child about foreign files; not one byte of them is parsed in the server."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from inference_core.contract.base import Message
from inference_core.contract.build import InspectionReport, InspectionResult
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec
from server.lib.children import ChildLimits, Completed, Ending, run_core
from server.lib.errors import Invalid, Unavailable

INSPECT_TIMEOUT_S = 120.0
CHECK_TIMEOUT_S = 60.0
_LIMITS = ChildLimits(cpu_s=120, file_bytes=64 * 1024**2)

logger = logging.getLogger(__name__)


class _Problems(Message):
    problems: tuple[str, ...]


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
