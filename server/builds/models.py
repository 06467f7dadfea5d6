"""Attempts to make an artifact for a profile, and what came of them."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q

from inference_core.contract.build import ParityLimits
from server.builds.checks.states import SIGNABLE, CheckState
from server.builds.states import BuildState, TurnEnd, TurnState
from server.fleet.models import Device, HardwareProfile
from server.lib.leases import LeasedRow
from server.registry.models import ModelVersion, Release


class Build(LeasedRow):
    """An attempt for one version and profile. ``key`` makes the same work the same artifact."""

    key = models.CharField(
        max_length=64, blank=True, db_index=True, help_text="Of the recipe; a worker finds it out."
    )
    recipe = models.JSONField(null=True, blank=True, help_text="BuildRecipe that the key is of.")
    number = models.PositiveSmallIntegerField(
        default=1, help_text="Which request for this version and profile it is."
    )
    is_again = models.BooleanField(
        default=False, help_text="Asked for on purpose after one that was refused or failed."
    )
    limits_body = models.JSONField(
        default=dict, help_text="ParityLimits of its model when it was queued; empty is defaults."
    )
    cached_from = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="reused_by"
    )
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="builds")
    profile = models.ForeignKey(HardwareProfile, models.PROTECT, related_name="builds")
    state = models.CharField(max_length=20, choices=BuildState, default=BuildState.QUEUED)
    step = models.CharField(max_length=20, blank=True)
    share = models.FloatField(default=0.0, help_text="How much is done, 0 to 1.")
    reason = models.TextField(blank=True, help_text="Why it ended as it did, for a person.")
    candidates = models.JSONField(default=list, help_text="Every precision that was tried.")
    log = models.TextField(blank=True)
    created_at = models.DateTimeField()
    queued_at = models.DateTimeField(null=True, blank=True, help_text="Since when it waits.")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "profile", "number"], name="build_requested_once"
            ),
            # One works on a key, and what it made is taken from there: nothing is built twice.
            models.UniqueConstraint(
                fields=["key"],
                condition=models.Q(
                    state__in=[BuildState.LEASED, BuildState.SUCCEEDED], cached_from=None
                )
                & ~models.Q(key=""),
                name="one_build_per_key",
            ),
        ]
        indexes = [models.Index(fields=["state", "profile"])]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.version} for {self.profile}"

    @property
    def limits(self) -> ParityLimits:
        """What its candidates must keep: part of the order, whatever is decided meanwhile."""
        return ParityLimits.model_validate(self.limits_body)


class Builder(models.Model):
    """A worker that takes builds from the queue of a profile, and when it last said so."""

    name = models.CharField(max_length=200, help_text="As Celery knows it: builder@host.")
    profile = models.ForeignKey(HardwareProfile, models.CASCADE, related_name="builders")
    problem = models.TextField(
        blank=True, help_text="Why it cannot build for the profile; empty where it can."
    )
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "profile"], name="builder_once_per_queue")
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} for {self.profile}"


class Told(models.Model):
    """What a worker or a device has said, and a person's word on what a device says."""

    device = models.ForeignKey(
        Device,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="%(class)ss",
        help_text="Whose word it is; null is a worker's.",
    )
    needs_approval = models.BooleanField(default=False)
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.CharField(max_length=200, blank=True)
    approval_reason = models.TextField(blank=True)

    class Meta:
        abstract = True

    @property
    def waits_for_approval(self) -> bool:
        """Whether nothing may be signed on it before a person says so."""
        return self.needs_approval and self.approved_at is None


class Artifact(Told):
    """Immutable bytes for one profile, certified against the original model."""

    build = models.OneToOneField(Build, models.PROTECT, related_name="artifact")
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="artifacts")
    profile = models.ForeignKey(HardwareProfile, models.PROTECT, related_name="artifacts")
    sha256 = models.CharField(max_length=64)
    length = models.BigIntegerField()
    runtime = models.CharField(max_length=30)
    runtime_version = models.CharField(max_length=60)
    precision = models.CharField(max_length=10)
    peak_memory_bytes = models.BigIntegerField(default=0)
    manifest_body = models.JSONField(help_text="ModelManifest with its alphabet written out.")
    created_at = models.DateTimeField()
    signed_at = models.DateTimeField(null=True, blank=True)
    superseded_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when new releases take a later one."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "profile"],
                condition=Q(superseded_at=None),
                name="one_artifact_per_profile",
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} for {self.profile} ({self.precision})"

    def is_current_at(self, moment: datetime | None) -> bool:
        """Whether no later one had taken its place at ``moment``; None is now."""
        if self.superseded_at is None:
            return True
        return moment is not None and self.superseded_at > moment


class Certificate(models.Model):
    """The ParityCertificate of an artifact, byte for byte as it was signed."""

    artifact = models.OneToOneField(Artifact, models.CASCADE, related_name="certificate")
    sha256 = models.CharField(max_length=64)
    length = models.BigIntegerField()
    body = models.JSONField()

    def __str__(self) -> str:
        return f"certificate of {self.artifact}"


class BuildTurn(models.Model):
    """One device's chance at one build, or at the golden cases of one release for its profile.

    Offered to it, leased by it, ended for a reason. A device has one at a time, of either kind.
    """

    build = models.ForeignKey(Build, models.CASCADE, null=True, blank=True, related_name="turns")
    pipeline_check = models.ForeignKey(
        "PipelineCheck", models.CASCADE, null=True, blank=True, related_name="turns"
    )
    mm_per_px = models.FloatField(
        null=True, blank=True, help_text="Scale of the whole frames that a check is leased with."
    )
    device = models.ForeignKey(Device, models.PROTECT, related_name="build_turns")
    state = models.CharField(max_length=20, choices=TurnState, default=TurnState.OFFERED)
    ended = models.CharField(max_length=20, choices=TurnEnd, blank=True)
    why = models.TextField(blank=True, help_text="Why it ended.")
    offered_at = models.DateTimeField()
    leased_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["build"], condition=~Q(state=TurnState.ENDED), name="one_turn_per_build"
            ),
            models.UniqueConstraint(
                fields=["device"], condition=~Q(state=TurnState.ENDED), name="one_turn_per_device"
            ),
            models.UniqueConstraint(
                fields=["pipeline_check"],
                condition=~Q(state=TurnState.ENDED),
                name="one_turn_per_check",
            ),
            models.CheckConstraint(
                condition=Q(build=None, pipeline_check__isnull=False)
                | Q(build__isnull=False, pipeline_check=None),
                name="turn_at_one_thing",
            ),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        if self.build_id is None:
            return f"{self.device} at check {self.pipeline_check_id}"
        return f"{self.device} at build {self.build_id}"

    @property
    def owner(self) -> str:
        """Who holds the lease of what it is at: the device, in this turn and no other."""
        return f"device:{self.device.serial}#{self.pk}"


class UploadedPiece(models.Model):
    """A piece of an artifact that a device is sending; the bytes lie in the storage."""

    turn = models.ForeignKey(BuildTurn, models.CASCADE, related_name="pieces")
    start = models.BigIntegerField()
    length = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["turn", "start"], name="piece_once_per_turn")
        ]
        ordering = ["start"]

    def __str__(self) -> str:
        return f"{self.turn}: {self.length} bytes from {self.start}"

    @property
    def name(self) -> str:
        """Where the storage has it. Not by its digest: it must be removable for certain."""
        return f"pieces/{self.turn_id}/{self.start:020d}"


class ReleaseTarget(models.Model):
    """A release as signed for one profile: the file that a device is sent to."""

    release = models.ForeignKey(Release, models.PROTECT, related_name="targets")
    profile = models.ForeignKey(HardwareProfile, models.PROTECT, related_name="release_targets")
    path = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64, db_index=True)
    length = models.BigIntegerField()
    signed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["release", "profile"], name="release_signed_once")
        ]

    def __str__(self) -> str:
        return f"{self.release} for {self.profile}"


class PipelineCheck(LeasedRow, Told):
    """A release held to its golden pictures on one profile; without a success nothing is signed.

    ``certificate`` is the PipelineCertificate as it was signed, byte for byte in its blob.
    """

    release = models.ForeignKey(Release, models.PROTECT, related_name="checks")
    profile = models.ForeignKey(HardwareProfile, models.PROTECT, related_name="checks")
    number = models.PositiveIntegerField(help_text="Of this release and profile; the last counts.")
    state = models.CharField(max_length=20, choices=CheckState, default=CheckState.QUEUED)
    share = models.FloatField(default=0.0, help_text="How much is done, 0 to 1.")
    reason = models.TextField(blank=True, help_text="Why it ended as it did, for a person.")
    cases = models.PositiveIntegerField(default=0)
    differing_count = models.PositiveIntegerField(default=0)
    differing = models.JSONField(default=list, help_text="The first cases that differ, explained.")
    certificate_sha256 = models.CharField(max_length=64, blank=True)
    certificate_length = models.PositiveIntegerField(default=0)
    certificate = models.JSONField(null=True, blank=True)
    asked = models.JSONField(
        default=dict, help_text="Hosts that sign for the profile and cannot judge, with the reason."
    )
    passes = models.PositiveSmallIntegerField(
        default=0, help_text="How often such a host was sent it."
    )
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["release", "profile", "number"], name="pipeline_check_once"
            )
        ]
        indexes = [models.Index(fields=["state", "profile"])]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"check of {self.release} for {self.profile}"

    @property
    def may_be_signed(self) -> bool:
        """Whether it lets its release be signed for the profile."""
        return self.state in SIGNABLE and not self.waits_for_approval
