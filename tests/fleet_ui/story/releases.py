"""Releases, signed for every profile, and one whose golden case is judged otherwise."""

from __future__ import annotations

from server.builds.models import PipelineCheck, ReleaseTarget
from server.fleet.models import Device
from server.registry.models import Release
from tests.fleet_ui.story.base import World, digest_of

PIPELINE = {
    "pipeline": "board-inspection",
    "stages": [{"id": "defects", "model": "board-defects"}],
    "rules": [{"fail": "defects.count() > 0", "because": "a defect was found"}],
    "budget_ms": 100.0,
}


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
