"""Fills the certificate: digests, figures, and who built it with what on which machine."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from inference_core import __version__
from inference_core.contract.build import BuildJob, ParityCertificate
from inference_core.optimize.coverage import warn_small
from inference_core.optimize.select import Trial


def certify(
    job: BuildJob,
    chosen: Trial,
    artifact_sha256: str,
    runtime_version: str,
    packages: Iterable[str],
) -> ParityCertificate:
    """The certificate of a chosen trial. ``manifest_sha256`` is of the manifest as it was given."""
    if chosen.parity is None or chosen.latency is None:
        raise ValueError("only a measured candidate can be certified")
    return ParityCertificate(
        source_sha256=job.source_sha256,
        manifest_sha256=hashlib.sha256(job.manifest.to_json()).hexdigest(),
        artifact_sha256=artifact_sha256,
        golden_sha256=job.golden_sha256,
        calibration_sha256=job.calibration_sha256,
        profile=job.profile.name,
        runtime=job.profile.runtime,
        runtime_version=runtime_version,
        precision=chosen.precision,
        parity=chosen.parity,
        limits=job.limits,
        latency=chosen.latency,
        toolchain=describe_toolchain(packages),
        built_on=describe_machine(),
        compute_device=job.profile.compute_device,
        warnings=warn_small(chosen.parity, job.manifest, job.limits),
    )


def describe_toolchain(packages: Iterable[str]) -> dict[str, str]:
    """Version of every package that shaped the artifact, and of Linewarden itself."""
    found = {name: _find_version(name) for name in packages}
    return {"linewarden": __version__, "python": platform.python_version(), **found}


def describe_machine() -> dict[str, str]:
    """What the figures were measured on. No host name: a certificate travels to every device."""
    return {
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _read_cpu_model(),
        "cpu_count": str(os.cpu_count() or 1),
    }


def _find_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed as a package"


def _read_cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")
