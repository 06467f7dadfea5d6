"""Builds that ended well, badly and not yet, with their certificates."""

from __future__ import annotations

from typing import Any

from server.builds.models import Artifact, Build, Certificate
from server.fleet.models import HardwareProfile
from server.registry.models import ModelVersion
from tests.fleet_ui.story.base import MANIFEST, World, digest_of, leave_event


def parity_of(share: float) -> dict[str, Any]:
    return {
        "metric": "mean_iou",
        "reference": 0.9121,
        "artifact": round(0.9121 * share, 4),
        "share": share,
        "per_class": {"scratch": [0.871, round(0.871 * share, 4)], "missing_metal": [0.93, 0.928]},
        "score_shift": round(1 - share, 4),
        "agreement": 0.97,
        "images": 32,
    }


def candidate_of(precision: str, outcome: str, share: float, p50_ms: float) -> dict[str, Any]:
    reason = {
        "chosen": f"The fastest that keeps its accuracy: {p50_ms} ms.",
        "slower": "It keeps its accuracy and is slower.",
        "refused": f"It keeps {share:.1%} of the original's mean IoU; 99.0 % are needed.",
    }[outcome]
    return {
        "precision": precision,
        "outcome": outcome,
        "reason": reason,
        "parity": parity_of(share),
        "latency": {"p50_ms": p50_ms, "p95_ms": p50_ms * 1.2, "runs": 30},
        "size_bytes": 412_300 if precision == "fp32" else 139_800,
    }


def add_build(world: World, version: ModelVersion, profile: HardwareProfile, state: str) -> Build:
    tried = {
        "succeeded": [
            candidate_of("fp32", "slower", 1.0, 11.42),
            candidate_of("int8", "chosen", 0.9961, 5.87),
        ],
        "refused": [
            candidate_of("fp32", "refused", 0.61, 11.9),
            candidate_of("int8", "refused", 0.42, 6.1),
        ],
        "leased": [],
    }[state]
    is_over = state != "leased"
    build = Build.objects.create(
        key=digest_of(f"{version.pk}/{profile.pk}"),
        version=version,
        profile=profile,
        state=state,
        attempts=1,
        lease_owner="worker@builder-1",
        step="parity",
        share=1.0 if is_over else 0.62,
        reason="No precision keeps its accuracy on the golden set." if state == "refused" else "",
        candidates=tried,
        log="simplify: 47 nodes → 33\nquantise: int8, 24 images\nparity: 32 images",
        created_at=world.ago(hours=5),
        started_at=world.ago(hours=4, minutes=50),
        finished_at=world.ago(hours=4, minutes=48) if is_over else None,
    )
    world.builds[f"{version.version} {profile.name}"] = build
    if is_over:
        leave_event(world, "build", build, ("leased", state), reason=build.reason, hours=4.8)
    if state == "succeeded":
        certify(world, build)
    return build


def certify(world: World, build: Build) -> None:
    artifact = Artifact.objects.create(
        build=build,
        version=build.version,
        profile=build.profile,
        sha256=digest_of(f"artifact {build.pk}"),
        length=139_800,
        runtime=build.profile.runtime,
        runtime_version="1.32.0",
        manifest_body=MANIFEST,
        precision="int8",
        peak_memory_bytes=96_000_000,
        created_at=build.finished_at,
        signed_at=build.finished_at,
    )
    body = {
        "source_sha256": build.version.sha256,
        "manifest_sha256": build.version.manifest_sha256,
        "artifact_sha256": artifact.sha256,
        "golden_sha256": digest_of("golden"),
        "calibration_sha256": digest_of("calibration"),
        "profile": build.profile.name,
        "runtime": build.profile.runtime,
        "runtime_version": "1.32.0",
        "precision": "int8",
        "parity": parity_of(0.9961),
        "limits": {},
        "latency": {"p50_ms": 5.87, "p95_ms": 7.04, "runs": 30},
        "toolchain": {"onnx": "1.23.2"},
    }
    Certificate.objects.create(
        artifact=artifact, sha256=digest_of(str(body)), length=900, body=body
    )
