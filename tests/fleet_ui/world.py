"""A small factory in rows, told as the sample story: one good release, one that is held."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import cv2

from inference_core.contract.histogram import ExponentialHistogram
from server.accounts.models import RoleAssignment, User
from server.builds.models import Artifact, Build, Certificate, PipelineCheck, ReleaseTarget
from server.datasets.models import DatasetVersion
from server.demo.boards import Board, render_board
from server.fleet.models import (
    Camera,
    Device,
    Group,
    HardwareProfile,
    Line,
    Presence,
    ReleaseRun,
    Site,
)
from server.lib import blobs, clock
from server.lib.models import StateEvent
from server.registry.models import Alias, AliasMove, ModelVersion, Release, VisionModel
from server.review.models import Sample
from server.rollouts.evidence import Evidence, Judgement, ProfileLatency
from server.rollouts.gates import judge
from server.rollouts.models import Deployment, Desired, Rollout, Stage
from server.rollouts.policy import RolloutPolicy
from server.telemetry.models import HourSummary, TelemetryRecord

PASSWORD = "correct horse battery staple"
KEY = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
    "-----END PUBLIC KEY-----\n"
)
PIPELINE = {
    "pipeline": "board-inspection",
    "stages": [{"id": "defects", "model": "board-defects"}],
    "rules": [{"fail": "count('defects') > 0", "because": "a defect was found"}],
    "budget_ms": 100.0,
}
MANIFEST = {
    "task": "segmentation",
    "inputs": [{"name": "image", "shape": [1, 3, 480, 640]}],
    "outputs": [{"name": "scores", "shape": [1, 3, 480, 640]}],
    "decoder": {
        "kind": "segment",
        "output": "scores",
        "labels": ["background", "scratch", "missing_metal"],
    },
    "licence": "Apache-2.0",
}


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class World:
    """What the tests ask for by name."""

    now: datetime = field(default_factory=clock.now)
    users: dict[str, User] = field(default_factory=dict)
    profiles: dict[str, HardwareProfile] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    devices: list[Device] = field(default_factory=list)
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    builds: dict[str, Build] = field(default_factory=dict)
    targets: dict[str, ReleaseTarget] = field(default_factory=dict)
    group: Any = None
    model: Any = None
    rollout: Any = None
    sample: Any = None
    foreign_sample: Any = None
    comparison: Any = None
    running_comparison: Any = None

    def ago(self, **delta: float) -> datetime:
        return self.now - timedelta(**delta)


def make_world() -> World:
    """Two sites, devices in every kind of trouble, builds, releases and rollouts."""
    world = World()
    make_people(world)
    make_fleet(world)
    make_models(world)
    make_releases(world)
    make_rollout(world)
    make_past(world)
    make_telemetry(world)
    make_samples(world)
    from tests.fleet_ui.compared import make_comparison  # it draws on this module

    world.comparison = make_comparison(world)
    world.running_comparison = make_comparison(world, "running")
    return world


def make_people(world: World) -> None:
    for name, role, site in (
        ("ada", "admin", ""),
        ("vera", "viewer", "dresden"),
        ("otto", "viewer", "ostrava"),
    ):
        user = User.objects.create_user(name, password=PASSWORD)
        RoleAssignment.objects.create(user=user, role=role, site=site)
        world.users[name] = user
    world.users["nobody"] = User.objects.create_user("nobody", password=PASSWORD)


def make_fleet(world: World) -> None:
    for name, title, line in (
        ("dresden", "Dresden", "smt-1"),
        ("ostrava", "Ostrava", "final-2"),
    ):
        site = Site.objects.create(name=name, title=title)
        world.lines[name] = Line.objects.create(site=site, name=line, title=f"Line {line}")
    for name, runtime in (("x86-onnxruntime", "onnxruntime"), ("x86-openvino", "openvino")):
        world.profiles[name] = HardwareProfile.objects.get_or_create(
            name=name,
            defaults={
                "title": f"x86-64 with {runtime}",
                "runtime": runtime,
                "architecture": "x86_64",
                "precisions": ["fp32", "int8"],
            },
        )[0]
    world.group = Group.objects.create(name="board-lines", title="Board inspection lines")
    for index in range(6):
        add_device(world, index, "dresden")
    add_device(world, 90, "ostrava")


def add_device(world: World, index: int, site: str, **changes: Any) -> Device:
    profile = list(world.profiles.values())[index % 2]
    device = Device.objects.create(
        serial=f"LW-{site[:3].upper()}-{index:04d}",
        state=changes.get("state", "pending" if index == 5 else "accepted"),
        public_key=KEY,
        line=world.lines[site],
        profile=profile,
        facts={"board": "Intel N100", "memory_bytes": 8 * 2**30, "cpu_count": 4},
        enrolled_at=world.ago(days=3),
    )
    if site == "dresden":
        world.group.memberships.create(device=device, joined_at=world.ago(days=3))
    Camera.objects.create(
        device=device, name="top", address="file:///var/boards", mm_per_px=0.2, frames_per_s=2
    )
    seen = {2: world.ago(minutes=2, seconds=30), 3: world.ago(hours=3)}.get(
        index, world.ago(seconds=9)
    )
    if index != 5:
        Presence.objects.create(
            device=device,
            last_seen_at=seen,
            boot_id=uuid.uuid4(),
            generation=4,
            agent_version="0.1.0",
        )
    world.devices.append(device)
    return device


def make_models(world: World) -> None:
    sets = {
        purpose: DatasetVersion.objects.create(
            name=f"boards-{purpose}",
            version="1",
            purpose=purpose,
            sha256=digest_of(purpose),
            labels_sha256=digest_of(f"labels {purpose}"),
            image_count=32,
            length=9_400_000,
            created_at=world.now,
            created_by="user:ada",
        )
        for purpose in ("golden", "calibration")
    }
    world.model = VisionModel.objects.create(
        name="board-defects",
        task="segmentation",
        title="Scratches and missing metal",
        created_at=world.ago(days=2),
        **sets,
    )
    for number in ("1.0.0", "1.1.0"):
        version = ModelVersion.objects.create(
            model=world.model,
            version=number,
            sha256=digest_of(number),
            length=412_300,
            manifest_sha256=digest_of(f"manifest {number}"),
            manifest_body=MANIFEST,
            report=report_of(digest_of(number)),
            licence="Apache-2.0",
            created_at=world.ago(days=1),
            created_by="user:ada",
        )
        world.versions[number] = version
    for profile in world.profiles.values():
        add_build(world, world.versions["1.0.0"], profile, "succeeded")
    add_build(world, world.versions["1.1.0"], world.profiles["x86-onnxruntime"], "refused")
    add_build(world, world.versions["1.1.0"], world.profiles["x86-openvino"], "leased")


def report_of(sha256: str) -> dict[str, Any]:
    image = {"name": "image", "shape": [1, 3, 480, 640], "dtype": "float32"}
    scores = {"name": "scores", "shape": [1, 3, 480, 640], "dtype": "float32"}
    return {
        "sha256": sha256,
        "size_bytes": 412_300,
        "opset": 17,
        "producer": "pytorch 2.13",
        "parameters": 101_443,
        "operators": {"Conv": 14, "Relu": 13, "Resize": 3, "Concat": 3},
        "inputs": [image],
        "outputs": [scores],
        "support": {
            "onnxruntime": {"answer": "yes", "why": "ONNX Runtime 1.32.0 has every operator."},
            "opencv_dnn": {"answer": "no", "why": "OpenCV DNN 5.0.0 has no Scan, which node 's'."},
        },
    }


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


def make_releases(world: World) -> None:
    for counter, (name, version) in enumerate(
        (("board-inspection-1", "1.0.0"), ("board-inspection-2", "1.1.0")), start=1
    ):
        release = Release.objects.create(
            name=name,
            counter=counter,
            pipeline_body=PIPELINE,
            created_at=world.ago(hours=6),
            created_by="user:ada",
        )
        release.versions.add(world.versions[version])
        for profile in world.profiles.values():
            world.targets[f"{name} {profile.name}"] = ReleaseTarget.objects.create(
                release=release,
                profile=profile,
                path=f"{profile.name}/releases/{name}.json",
                sha256=digest_of(f"{name} {profile.name}"),
                length=2100,
                signed_at=world.ago(hours=6),
            )


def refuse_golden_case(world: World, name: str, profile: str) -> PipelineCheck:
    """A new release that judges one golden board otherwise on this profile."""
    release = Release.objects.create(
        name=name,
        counter=Release.objects.count() + 1,
        pipeline_body=PIPELINE,
        created_at=world.now,
        created_by="user:ada",
    )
    case = {
        "golden": "boards-golden 1",
        "image": "images/17.jpg",
        "expected": "pass",
        "reference": "pass",
        "artifact": "fail",
        "artifact_reasons": ["a defect was found"],
        "stages": [{"stage": "defects", "reference": "nothing", "artifact": "1 scratch"}],
    }
    return PipelineCheck.objects.create(
        release=release,
        profile=world.profiles[profile],
        number=1,
        state="refused",
        reason="1 of 32 golden cases are judged otherwise: images/17.jpg: FAIL instead of PASS",
        cases=32,
        differing_count=1,
        differing=[case],
        created_at=world.now,
        finished_at=world.now,
    )


def target_for(world: World, name: str, device: Device) -> ReleaseTarget:
    return world.targets[f"{name} {device.profile.name}"]


def make_rollout(world: World) -> None:
    policy = RolloutPolicy(min_devices=1, min_soak_s=60, min_frames=20, max_p95_ms=100)
    release = Release.objects.get(name="board-inspection-2")
    world.rollout = Rollout.objects.create(
        name="Contrast normalisation",
        epoch=2,
        release=release,
        group=world.group,
        state="running",
        policy=policy.model_dump(mode="json"),
        created_at=world.ago(hours=2),
        created_by="user:ada",
        started_at=world.ago(hours=2),
    )
    stages = [
        Stage.objects.create(
            rollout=world.rollout, index=i, size=size, plan={"devices": size}, state=state
        )
        for i, (size, state) in enumerate(((1, "passed"), (3, "open"), (5, "waiting")))
    ]
    latency = ProfileLatency(candidate=ExponentialHistogram.of([8.1, 9.0, 9.4, 12.7]))
    evidence = Evidence(
        running=1,
        offline=1,
        failed={"too_slow": 0},
        soak_s=240,
        frames=812,
        fewest_frames=812,
        latency_ms={"x86-onnxruntime": latency},
    )
    judgement = Judgement(evidence=evidence, verdict=judge(policy, evidence))
    stages[1].verdict = judgement.model_dump(mode="json")
    stages[1].save()
    for device, stage, phase, cause in (
        (world.devices[0], stages[0], "committed", ""),
        (world.devices[1], stages[1], "committed", ""),
        (world.devices[3], stages[1], "downloading", ""),
    ):
        add_deployment(world, device, stage, phase, cause)
    for device in (world.devices[2], world.devices[4], world.devices[6]):
        target = target_for(world, "board-inspection-1", device)
        Desired.objects.create(device=device, generation=3, target=target, changed_at=world.now)
        if device is not world.devices[4]:
            Presence.objects.filter(device=device).update(running_sha256=target.sha256)
    leave_event(world, "rollout", world.rollout, ("scheduled", "running"), hours=2)
    leave_event(world, "stage", stages[0], ("soaking", "passed"), hours=1)


def add_deployment(
    world: World, device: Device, stage: Stage, phase: str, cause: str = ""
) -> Deployment:
    target = target_for(world, "board-inspection-2", device)
    part = Deployment.objects.create(
        rollout=stage.rollout,
        stage=stage,
        device=device,
        target=target,
        phase=phase,
        cause=cause,
        detail="p95 was 140 ms of 100 ms" if cause else "",
        created_at=world.ago(hours=2),
        updated_at=world.ago(minutes=20),
    )
    Desired.objects.create(
        device=device, generation=4, target=target, deployment=part, changed_at=world.now
    )
    if phase == "committed":
        Presence.objects.filter(device=device).update(running_sha256=target.sha256)
    return part


def make_past(world: World) -> None:
    """What ran where before, an alias that moved, and one version made from the other."""
    old, new = world.versions["1.0.0"], world.versions["1.1.0"]
    ModelVersion.objects.filter(pk=new.pk).update(parent=old, recipe={"name": "more-evening"})
    alias = Alias.objects.create(
        model=world.model, name="champion", version=old, moved_at=world.ago(hours=7)
    )
    AliasMove.objects.create(
        alias=alias, new=old, actor="user:ada", reason="The first.", at=world.ago(hours=7)
    )
    for device in world.devices[:2]:
        first, second = (
            target_for(world, f"board-inspection-{number}", device) for number in (1, 2)
        )
        change, heard = world.ago(hours=1), world.ago(hours=1, minutes=1)
        ReleaseRun.objects.create(
            device=device,
            sha256=first.sha256,
            since=world.ago(days=2),
            heard_until=heard,
            until=change,
        )
        ReleaseRun.objects.create(device=device, sha256=second.sha256, since=change)


def make_telemetry(world: World) -> None:
    start = world.now.replace(minute=0, second=0, microsecond=0)
    for device in world.devices[:2]:
        for hour in range(18):
            add_hour(world, device, start - timedelta(hours=hour), failed=20 + hour % 5 * 12)
        for seq in range(1, 31):
            add_health(world, device, seq)
    TelemetryRecord.objects.create(
        device=world.devices[0],
        boot_id=uuid.uuid4(),
        seq=99,
        kind="event",
        captured_at=world.ago(minutes=31),
        received_at=world.now,
        body={"kind": "event", "name": "release-activated", "detail": "board-inspection-2"},
    )


@lru_cache
def latency_bodies() -> dict[str, Any]:
    values = [6 + (step % 11) * 0.7 + (step % 37 == 0) * 14 for step in range(300)]
    return {
        "total": ExponentialHistogram.of(values).model_dump(mode="json"),
        "defects": ExponentialHistogram.of([v * 0.8 for v in values]).model_dump(mode="json"),
    }


def add_hour(world: World, device: Device, hour: datetime, failed: int) -> None:
    HourSummary.objects.create(
        device=device,
        camera="top",
        release_sha256=digest_of("running"),
        hour=hour,
        frames=400,
        passed=400 - failed,
        failed=failed,
        lost={"camera_slow": 2},
        latency_ms=latency_bodies(),
        updated_at=world.now,
    )


def add_health(world: World, device: Device, seq: int) -> None:
    TelemetryRecord.objects.create(
        device=device,
        boot_id=uuid.UUID(int=1),
        seq=seq,
        kind="health",
        captured_at=world.ago(minutes=31 - seq),
        received_at=world.now,
        body={
            "kind": "health",
            "cpu_share": 0.3 + (seq * 7 % 13) / 40,
            "memory_used_share": 0.52,
            "temperature_c": 58.0 + seq % 6,
            "disk_free_bytes": 41_000_000_000,
            "throttled": False,
            "agent_rss_bytes": 61_000_000,
            "child_rss_bytes": 143_000_000,
        },
    )


def make_samples(world: World) -> None:
    for seed in range(8):
        world.sample = add_sample(world, world.devices[0], seed)
    world.foreign_sample = add_sample(world, world.devices[6], 1)


@lru_cache
def picture_of(seed: int) -> tuple[Board, bytes]:
    board = render_board(seed)
    return board, cv2.imencode(".jpg", board.image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def add_sample(world: World, device: Device, seed: int) -> Sample:
    board, jpeg = picture_of(seed)
    at = world.ago(minutes=seed * 3 + 1)
    regions = regions_of(board.mask)
    marking = [[86, 60], [150, 60], [150, 78], [86, 78]]
    lines = [{"text": board.marking, "score": 0.94, "polygon": marking}] if board.marking else []
    latency = {"preprocess": 1.2, "infer": 6.1, "postprocess": 0.9, "total": 8.2}
    reasons = ["a defect was found"] if regions else []
    result = {
        "camera": "top",
        "sequence": seed,
        "source": f"live-{seed}.jpg",
        "captured_at": at.isoformat(),
        "width": 640,
        "height": 480,
        "verdict": board.verdict,
        "reasons": reasons or ([] if lines else ["the marking cannot be read"]),
        "stages": [
            {"stage": "defects", "regions": regions, "latency_ms": latency},
            {"stage": "marking", "lines": lines, "latency_ms": latency},
        ],
        "latency_ms": 12.4,
        "budget_ms": 100,
    }
    return Sample.objects.create(
        device=device,
        camera="top",
        release_sha256=digest_of("running"),
        image_sha256=blobs.put_bytes(jpeg).sha256,
        inclusion_probability=0.1,
        reason="random",
        verdict=board.verdict,
        result=result,
        captured_at=at,
        received_at=world.now,
    )


def regions_of(mask: Any) -> list[dict[str, Any]]:
    """The truth of a drawn board, as a model would have found it."""
    regions = []
    for index, label in ((1, "scratch"), (2, "missing_metal")):
        outlines, _ = cv2.findContours(
            (mask == index).astype("uint8"), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        for outline in outlines:
            x, y, w, h = cv2.boundingRect(outline)
            regions.append(
                {
                    "label": label,
                    "score": 0.91,
                    "xyxy": [x, y, x + w, y + h],
                    "polygon": outline.reshape(-1, 2).tolist()[:200],
                    "area_px": float(cv2.contourArea(outline)),
                }
            )
    return regions


def leave_event(
    world: World, subject: str, row: Any, move: tuple[str, str], *, reason: str = "", hours: float
) -> None:
    StateEvent.objects.create(
        subject=subject,
        subject_id=str(row.pk),
        old=move[0],
        new=move[1],
        actor="system",
        reason=reason,
        at=world.ago(hours=hours),
    )
