"""``make proof``: three real models, built for every profile that a builder here can serve.

By the worker's own path: queued, leased, built in a sandboxed child, certified, signed; then one
release of all three, held to its golden boards on each profile. Ends with Markdown.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference_core.contract.build import Candidate
from inference_core.contract.golden import PipelineCertificate

if TYPE_CHECKING:
    from server.builds.models import Build, PipelineCheck
    from server.fleet.models import HardwareProfile
    from server.registry.models import Release
    from tests.server.builds.three_models import ThreeModels

SEEDED = ("x86-openvino", "x86-onnxruntime", "x86-opencv-dnn", "x86-litert")
OWN: dict[str, dict[str, Any]] = {
    "x86-rtx": {
        "runtime": "tensorrt",
        "tensorrt": {"flavour": "rtx", "compute_capabilities": ["8.6", "12.0"]},
    },
}
BUILD_HEAD = (
    "| model | profile | outcome | precision | original → artifact | kept | same answer | "
    "score shift | p50 / p95 | images |\n|" + " --- |" * 10
)
CHECK_HEAD = (
    "| profile | outcome | cases | as labelled | p50 / p95 of the pipeline | budget |\n|"
    + " --- |" * 6
)


def main() -> int:
    """0 whatever the builds say: what is refused is part of the answer."""
    with tempfile.TemporaryDirectory(prefix="linewarden-proof-") as name:
        os.environ["LINEWARDEN_DATA"] = name
        os.environ["DJANGO_SETTINGS_MODULE"] = "server.config.settings"
        _run(Path(name))
    return 0


def _run(data: Path) -> None:
    import django

    django.setup()
    from server.config.prepare import prepare
    from tests.server.builds.three_models import ALL, upload_three_models

    prepare()
    profiles = _make_profiles()
    _tell("drawing and uploading three models")
    three = upload_three_models(data / "sets", ALL)
    builds = [_build(three, model, one) for one in profiles for model in three.versions]
    release = _release(three)
    checks = [check for one in profiles if (check := _check(release, one)) is not None]
    print("\n".join([BUILD_HEAD, *map(_row_of_build, builds), "", *_told(builds)]))
    print("\n".join(["", CHECK_HEAD, *map(_row_of_check, checks)]))


def _make_profiles() -> list[HardwareProfile]:
    from server.fleet.models import HardwareProfile

    rows = list(HardwareProfile.objects.filter(name__in=SEEDED).order_by("-name"))
    whole = {"architecture": "x86_64", "precisions": ["fp32", "fp16", "int8"], "threads": 2}
    for name, fields in OWN.items():
        rows.append(HardwareProfile.objects.create(name=name, title=name, **whole, **fields))
    return rows


def _build(three: ThreeModels, model: str, profile: HardwareProfile) -> Build:
    from server.builds import services, worker

    _tell(f"building {model} for {profile}")
    version = three.versions[model]
    build = services.queue_build(version=version, profile=profile, actor="proof")
    worker.run_build(build.pk)
    build.refresh_from_db()
    return build


def _release(three: ThreeModels) -> Release:
    from server.demo.boards import MM_PER_PX
    from server.registry.services import create_release
    from tests.server.builds.three_models import PIPELINE

    return create_release(
        name="three-models-1",
        pipeline=PIPELINE,
        versions=dict.fromkeys(three.versions, "1.0.0"),
        notes="",
        golden=three.frames,
        golden_mm_per_px=MM_PER_PX,
        actor="proof",
    )


def _check(release: Release, profile: HardwareProfile) -> PipelineCheck | None:
    from server.builds.selectors import signable
    from tests.server.builds.judging import judge

    if signable(release, profile) is None:
        return None
    _tell(f"judging golden boards on {profile}")
    return judge(release, profile)


def _row_of_build(build: Build) -> str:
    model = build.version.model.name
    candidates = [Candidate.model_validate(body) for body in build.candidates]
    chosen = next((one for one in candidates if one.outcome == "chosen"), None)
    if chosen is None or chosen.parity is None or chosen.latency is None:
        return f"| {model} | {build.profile} | **{build.state}** |" + " |" * 7
    kept, latency = chosen.parity, chosen.latency
    cells = (
        model,
        str(build.profile),
        build.state,
        str(chosen.precision),
        f"{kept.reference:.3f} → {kept.artifact:.3f} {kept.metric.replace('_', ' ')}",
        f"{kept.share:.1%}",
        f"{kept.agreement:.0%}",
        f"{kept.score_shift:.4f}",
        f"{latency.p50_ms:.1f} / {latency.p95_ms:.1f} ms",
        str(kept.images),
    )
    return f"| {' | '.join(cells)} |"


def _told(builds: list[Build]) -> list[str]:
    """Why the other candidates were not taken; what a whole profile lacks is told once."""
    from server.builds.twins import problem_of

    told = {}
    for build in builds:
        if build.state == "queued" and (problem := problem_of(build.profile.spec)):
            told[f"- every model for {build.profile}, left for its twin: {problem}"] = None
        for one in map(Candidate.model_validate, build.candidates):
            is_lacking = one.outcome == "failed"
            model = "every model" if is_lacking else build.version.model.name
            words = "failed" if is_lacking else f"{one.precision} {one.outcome}"
            reason = one.reason.removeprefix(f"{one.precision} ") if is_lacking else one.reason
            if one.outcome != "chosen":
                told[f"- {model} for {build.profile}, {words}: {reason}"] = None
    return list(told)


def _row_of_check(check: PipelineCheck) -> str:
    if check.certificate is None:
        return f"| {check.profile} | **{check.state}**: {check.reason} | {check.cases} | | | |"
    proof = PipelineCertificate.model_validate(check.certificate)
    latency = proof.latency
    took = f"{latency.p50_ms:.0f} / {latency.p95_ms:.0f} ms" if latency else "not measured"
    cells = (
        str(check.profile),
        "all agree, signed",
        str(len(proof.cases)),
        f"{proof.truth.artifact_right} of {proof.truth.labelled}",
        took,
        f"{proof.budget_ms:g} ms, {'kept' if proof.is_within_budget else 'not kept'}",
    )
    return f"| {' | '.join(cells)} |"


def _tell(what: str) -> None:
    sys.stderr.write(f"{what} …\n")


if __name__ == "__main__":
    raise SystemExit(main())
