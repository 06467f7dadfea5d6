"""Whether a runtime could take a model at all, by what the inspection found."""

from __future__ import annotations

from inference_core.contract.build import RuntimeSupport
from inference_core.contract.words import RuntimeName
from server.fleet.models import HardwareProfile
from server.registry.models import ModelVersion


def why_never(version: ModelVersion, profile: HardwareProfile) -> str:
    """Why a build would be in vain, naming the node; empty where it is worth trying.

    The table of TensorRT is of TensorRT for RTX: it forbids nothing to its elder sister.
    """
    if profile.runtime == RuntimeName.TENSORRT and not _is_rtx(profile):
        return ""
    found = version.report.get("support", {}).get(profile.runtime)
    support = RuntimeSupport.model_validate(found) if found else None
    return support.why if support and support.answer == "no" else ""


def _is_rtx(profile: HardwareProfile) -> bool:
    return (profile.tensorrt or {}).get("flavour") == "rtx"
