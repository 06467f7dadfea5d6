"""A small factory floor in rows: devices, certified releases, and devices that report."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import uuid4

from inference_core.contract.device import Progress, ProgressError, ProgressReply
from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.telemetry import Health
from inference_core.contract.words import DeploymentPhase, FailureCause
from server.builds.models import ReleaseTarget
from server.fleet.models import Device, Group, HardwareProfile, Line, Membership, Presence, Site
from server.fleet.states import DeviceState
from server.lib import clock
from server.registry.models import Release
from server.rollouts.models import Deployment, Rollout
from server.rollouts.policy import RolloutPolicy, StagePlan
from server.rollouts.services import create_rollout, report_progress, tick_rollout
from server.telemetry.models import HourSummary, TelemetryRecord

P = DeploymentPhase
ACTOR = "user:ada"
QUICK = RolloutPolicy(min_soak_s=0, min_frames=10)
ONE_THEN_ALL = (StagePlan(devices=1), StagePlan(share=1.0))
ALL_AT_ONCE = (StagePlan(share=1.0),)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Plant:
    """One site with one line and one group; ``enrol`` and ``release`` fill it."""

    def __init__(self, site: str = "ulm") -> None:
        self.now = clock.now()
        self.site = Site.objects.create(name=site, title=site.title())
        self.line = Line.objects.create(site=self.site, name="line-1", title="Line 1")
        self.group = Group.objects.create(name=f"{site}-boards", title="Boards")

    def profile(self, name: str = "x86-ort") -> HardwareProfile:
        spec = {"runtime": "onnxruntime", "architecture": "x86_64", "precisions": ["fp32"]}
        return HardwareProfile.objects.get_or_create(name=name, defaults={"title": name} | spec)[0]

    def enrol(self, serial: str, profile: str = "x86-ort", *, joins: bool = True) -> Device:
        device = Device.objects.create(
            serial=serial,
            state=DeviceState.ACCEPTED,
            public_key="pem",
            line=self.line,
            profile=self.profile(profile),
            enrolled_at=self.now,
        )
        self.hear(device)
        if joins:
            self.join(device)
        return device

    def enrol_many(self, count: int, profile: str = "x86-ort") -> list[Device]:
        return [self.enrol(f"{self.site.name}-{profile}-{i:03}", profile) for i in range(count)]

    def join(self, device: Device) -> None:
        Membership.objects.create(group=self.group, device=device, joined_at=self.now)

    def leave(self, device: Device) -> None:
        Membership.objects.filter(group=self.group, device=device).delete()

    def hear(self, device: Device, running: str = "", ago_s: float = 0.0) -> None:
        """The device polls, and says what it runs."""
        seen = {"last_seen_at": clock.now() - timedelta(seconds=ago_s), "boot_id": uuid4()}
        Presence.objects.update_or_create(
            device=device, defaults=seen | {"running_sha256": running}
        )

    def release(self, name: str, profiles: tuple[str, ...] = ("x86-ort",)) -> Release:
        counter = Release.objects.count() + 1
        stages = [{"id": "look", "model": "defects"}]
        rules = [{"fail": "count('scratch') > 0", "because": "scratched"}]
        release = Release.objects.create(
            name=name,
            counter=counter,
            pipeline_body={"pipeline": "boards", "stages": stages, "rules": rules},
            created_at=self.now,
            created_by=ACTOR,
        )
        for profile in profiles:
            self.certify(release, profile)
        return release

    def certify(self, release: Release, profile: str) -> ReleaseTarget:
        """The release, built, judged and signed for a profile."""
        return ReleaseTarget.objects.create(
            release=release,
            profile=self.profile(profile),
            path=f"{profile}/releases/{release.name}.json",
            sha256=sha256(f"{release.name} {profile}"),
            length=1,
            signed_at=self.now,
        )

    def plan(
        self,
        release: Release,
        stages: tuple[StagePlan, ...] = ALL_AT_ONCE,
        policy: RolloutPolicy = QUICK,
        *,
        start: bool = True,
    ) -> Rollout:
        return create_rollout(
            name=f"{release.name} for all",
            release=release,
            group=self.group,
            stages=stages,
            policy=policy,
            actor=ACTOR,
            start=start,
        )

    def run_through(self, release: Release) -> Rollout:
        """Bring the whole group to ``release``, with every device doing well."""
        rollout = self.plan(release)
        tick(rollout)
        for part in rollout.deployments.all():
            self.commit(part)
        return tick(rollout)

    def commit(self, part: Deployment, frames: int = 50) -> None:
        """The device installs, proves itself, reports, and judges frames."""
        report(part, P.ACTIVATING)
        report(part, P.COMMITTED)
        self.hear(part.device, part.target.sha256)
        self.judge_frames(part.device, part.target.sha256, frames)

    def judge_frames(
        self,
        device: Device,
        release_sha256: str,
        frames: int,
        *,
        faults: dict[str, int] | None = None,
        latency_ms: float = 20.0,
    ) -> None:
        histogram = ExponentialHistogram.of([latency_ms] * frames)
        HourSummary.objects.update_or_create(
            device=device,
            camera="cam",
            release_sha256=release_sha256,
            hour=clock.now().replace(minute=0, second=0, microsecond=0),
            defaults={
                "frames": frames,
                "passed": frames,
                "faults": faults or {},
                "latency_ms": {"total": histogram.model_dump(mode="json")},
                "updated_at": clock.now(),
            },
        )

    def throttle(self, device: Device) -> None:
        """Its board says that it had to slow down."""
        now = clock.now()
        TelemetryRecord.objects.create(
            device=device,
            boot_id=uuid4(),
            seq=1,
            kind="health",
            captured_at=now,
            received_at=now,
            body=Health(throttled=True).model_dump(mode="json"),
        )


def tick(rollout: Rollout, times: int = 1) -> Rollout:
    for _ in range(times):
        tick_rollout(rollout_id=rollout.pk)
    rollout.refresh_from_db()
    return rollout


def report(
    part: Deployment,
    phase: DeploymentPhase,
    *,
    cause: FailureCause | None = None,
    running: str | None = None,
) -> ProgressReply:
    """Report as the agent does: the next number, the version that it last heard."""
    part.refresh_from_db()
    progress = Progress(
        seq=part.seq + 1,
        expected_version=part.version,
        phase=phase,
        running_sha256=running,
        error=ProgressError(cause=cause, detail=f"it {cause}") if cause else None,
    )
    reply = report_progress(device=part.device, deployment_id=part.pk, progress=progress)
    part.refresh_from_db()
    return reply
