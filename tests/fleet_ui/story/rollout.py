"""A rollout whose second stage is held, and what ran before it."""

from __future__ import annotations

from inference_core.contract.histogram import ExponentialHistogram
from server.fleet.models import Device, Presence, ReleaseRun
from server.registry.models import Alias, AliasMove, ModelVersion, Release
from server.rollouts.evidence import Evidence, Judgement, ProfileLatency
from server.rollouts.gates import judge
from server.rollouts.models import Deployment, Desired, Rollout, Stage
from server.rollouts.policy import RolloutPolicy
from tests.fleet_ui.story.base import World, leave_event
from tests.fleet_ui.story.releases import target_for


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
