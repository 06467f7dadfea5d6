"""Plans to bring a group to a release, and each device's part in them."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from inference_core.contract.device import ShadowLimits
from inference_core.contract.words import TERMINAL_PHASES, DeploymentPhase, FailureCause
from server.builds.models import ReleaseTarget
from server.fleet.models import Device, Group
from server.registry.models import Release
from server.rollouts.evidence import Judgement
from server.rollouts.policy import RolloutPolicy, StagePlan
from server.rollouts.states import RolloutState, StageState

PHASES = [(str(phase), str(phase)) for phase in DeploymentPhase]
CAUSES = [(str(cause), str(cause)) for cause in FailureCause]
TERMINAL = sorted(map(str, TERMINAL_PHASES))


class Rollout(models.Model):
    """A plan to bring a group to a release. The highest ``epoch`` wins on a device."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    epoch = models.PositiveBigIntegerField(unique=True)
    release = models.ForeignKey(Release, models.PROTECT, null=True, related_name="rollouts")
    undoes = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="undone_by",
        help_text="The rollout that this one takes back; then each device has its own release.",
    )
    group = models.ForeignKey(Group, models.PROTECT, related_name="rollouts")
    state = models.CharField(max_length=20, choices=RolloutState, default=RolloutState.DRAFT)
    reason = models.TextField(blank=True, help_text="Why it holds, or why it ended.")
    policy = models.JSONField(help_text="Gate policy and probation limits.")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(release__isnull=True) ^ Q(undoes__isnull=True), name="aims_at_one"
            )
        ]
        indexes = [models.Index(fields=["state"])]
        ordering = ["-epoch"]

    def __str__(self) -> str:
        return self.name

    @property
    def rules(self) -> RolloutPolicy:
        """The stored policy; what an older server stored has today's defaults where it is mute."""
        return RolloutPolicy.model_validate(self.policy)


class Stage(models.Model):
    """An ordered slice of a rollout. ``verdict`` is the last judgement of its gate."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="stages")
    index = models.PositiveSmallIntegerField()
    plan = models.JSONField(help_text="StagePlan: how far the stage reaches.")
    size = models.PositiveIntegerField(help_text="Devices up to and including this stage.")
    state = models.CharField(max_length=20, choices=StageState, default=StageState.WAITING)
    verdict = models.JSONField(default=dict, help_text="Judgement: evidence and what it gave.")
    opened_at = models.DateTimeField(null=True, blank=True)
    soaking_since = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "index"], name="stage_once")]
        ordering = ["index"]

    def __str__(self) -> str:
        return f"{self.rollout} stage {self.index + 1}"

    @property
    def reach(self) -> StagePlan:
        """The stored plan."""
        return StagePlan.model_validate(self.plan)

    @property
    def judgement(self) -> Judgement | None:
        """What its gate said last, and on what evidence; None before it has spoken."""
        return Judgement.model_validate(self.verdict) if self.verdict else None


class Deployment(models.Model):
    """One device's part of a rollout. ``version`` counts its accepted changes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="deployments")
    stage = models.ForeignKey(Stage, models.CASCADE, related_name="deployments")
    device = models.ForeignKey(Device, models.CASCADE, related_name="deployments")
    target = models.ForeignKey(ReleaseTarget, models.PROTECT, related_name="deployments")
    previous = models.ForeignKey(
        ReleaseTarget, models.PROTECT, null=True, blank=True, related_name="+"
    )
    phase = models.CharField(max_length=20, choices=PHASES, default=str(DeploymentPhase.QUEUED))
    version = models.PositiveIntegerField(default=0)
    seq = models.PositiveIntegerField(default=0, help_text="The device's last accepted change.")
    cause = models.CharField(max_length=20, choices=CAUSES, blank=True)
    detail = models.TextField(blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rollout", "device"], name="device_once_per_rollout"),
            models.UniqueConstraint(
                fields=["device"], condition=~Q(phase__in=TERMINAL), name="one_open_deployment"
            ),
        ]
        indexes = [models.Index(fields=["stage", "phase"])]

    def __str__(self) -> str:
        return f"{self.device}: {self.target} is {self.phase}"


class Desired(models.Model):
    """What a device should run now. ``generation`` grows with every change of the goal."""

    device = models.OneToOneField(Device, models.CASCADE, primary_key=True, related_name="desired")
    generation = models.PositiveBigIntegerField(default=0)
    target = models.ForeignKey(
        ReleaseTarget, models.PROTECT, null=True, blank=True, related_name="+"
    )
    deployment = models.ForeignKey(
        Deployment, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.device}: generation {self.generation}"


class ShadowRun(models.Model):
    """A release that runs beside what a group's devices run, on the same frames, for nothing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    group = models.ForeignKey(Group, models.PROTECT, related_name="shadow_runs")
    release = models.ForeignKey(Release, models.PROTECT, related_name="shadow_runs")
    share = models.FloatField(help_text="Of the frames that are judged.")
    max_cpu_share = models.FloatField(help_text="1 is one whole core.")
    started_at = models.DateTimeField()
    started_by = models.CharField(max_length=200)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["group"], condition=Q(ended_at=None), name="one_shadow_per_group"
            )
        ]
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.release} in the shadow on {self.group}"

    @property
    def limits(self) -> ShadowLimits:
        """What it may cost a device."""
        return ShadowLimits(share=self.share, max_cpu_share=self.max_cpu_share)
