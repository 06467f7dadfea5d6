"""Where devices stand, what they are, and which of them belong together."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from inference_core.contract.build import ProfileSpec, TensorRtProfile
from inference_core.contract.device import AgentRef
from inference_core.contract.release import TargetRef
from inference_core.contract.sampling import SamplingPolicy
from inference_core.contract.serve import Camera as CameraMessage
from inference_core.contract.window import UpdateWindow
from inference_core.contract.words import ComputeDevice
from server.fleet.states import DeviceState


class Site(models.Model):
    """A factory."""

    name = models.SlugField(max_length=100, unique=True)
    title = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.title


class Line(models.Model):
    """One production line of a site; the unit of randomisation."""

    site = models.ForeignKey(Site, models.PROTECT, related_name="lines")
    name = models.SlugField(max_length=100)
    title = models.CharField(max_length=200)
    update_window = models.JSONField(
        null=True, blank=True, help_text="UpdateWindow of the contract; null is at any time."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "name"], name="line_name_per_site")]

    def __str__(self) -> str:
        return f"{self.site} / {self.title}"

    @property
    def window(self) -> UpdateWindow | None:
        """When its devices may change their release; None is at any time."""
        return self.update_window and UpdateWindow.model_validate(self.update_window)


class BuiltOn(models.TextChoices):
    """Where a profile's artifacts are built."""

    BUILDERS = "builders", "builders"
    DEVICE = "device", "its own devices"


class HardwareProfile(models.Model):
    """Board, accelerator and runtime that an artifact is bound to."""

    name = models.SlugField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    runtime = models.CharField(max_length=30)
    architecture = models.CharField(max_length=20)
    precisions = models.JSONField(help_text="Candidates that a build tries, e.g. fp32, int8.")
    threads = models.PositiveSmallIntegerField(default=1)
    accelerator = models.SlugField(
        max_length=100,
        blank=True,
        help_text="A chip that artifacts are compiled for, e.g. edgetpu.",
    )
    tensorrt = models.JSONField(null=True, blank=True, help_text="What an engine is built for.")
    compute_device = models.CharField(
        max_length=20, default=ComputeDevice.CPU.value, help_text="Where OpenVINO computes."
    )
    runtime_version = models.CharField(
        max_length=40, blank=True, help_text="No other version may build; empty is any."
    )
    requires = models.JSONField(
        default=dict, blank=True, help_text="What a device must be: Requirements."
    )
    is_seeded = models.BooleanField(default=False, help_text="Came with the server.")
    built_on = models.CharField(max_length=20, choices=BuiltOn, default=BuiltOn.BUILDERS)
    needs_approval = models.BooleanField(
        default=True, help_text="A person approves what a device built before it is signed."
    )

    def __str__(self) -> str:
        return self.name

    @property
    def is_built_on_device(self) -> bool:
        """Whether its own devices build for it, and no worker."""
        return self.built_on == BuiltOn.DEVICE

    @property
    def spec(self) -> ProfileSpec:
        """The profile as the contract has it."""
        return ProfileSpec(
            name=self.name,
            runtime=self.runtime,
            architecture=self.architecture,
            precisions=tuple(self.precisions),
            threads=self.threads,
            accelerator=self.accelerator or None,
            tensorrt=self.tensorrt and TensorRtProfile.model_validate(self.tensorrt),
            compute_device=self.compute_device,
            runtime_version=self.runtime_version or None,
        )


class ProfileProposal(models.Model):
    """A profile that a device would need which none fitted. It waits for an admin."""

    name = models.SlugField(max_length=100, unique=True)
    body = models.JSONField(help_text="NewProfile: what accepting it makes.")
    serial = models.CharField(max_length=64, help_text="The latest device that asked.")
    why = models.TextField(help_text="What the nearest profiles need and it does not have.")
    asked_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Device(models.Model):
    """An enrolled box. ``pending_public_key`` waits for approval; the old key lives until then."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    serial = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=20, choices=DeviceState, default=DeviceState.PENDING)
    public_key = models.TextField(help_text="Ed25519, PEM.")
    pending_public_key = models.TextField(blank=True)
    line = models.ForeignKey(Line, models.PROTECT, related_name="devices")
    profile = models.ForeignKey(HardwareProfile, models.PROTECT, related_name="devices")
    facts = models.JSONField(default=dict)
    misfit = models.TextField(
        blank=True, help_text="What its profile needs and its facts deny; empty fits."
    )
    sample_every_s = models.FloatField(default=10.0)
    sampling = models.JSONField(
        null=True, blank=True, help_text="Its SamplingPolicy; null is the usual one."
    )
    variant = models.SlugField(
        max_length=100, blank=True, help_text="Its arm of an experiment; empty is none."
    )
    pending_variant = models.SlugField(
        max_length=100, blank=True, help_text="What came with the key that waits."
    )
    enrolled_at = models.DateTimeField()

    class Meta:
        ordering = ["serial"]

    def __str__(self) -> str:
        return self.serial

    @property
    def sampling_policy(self) -> SamplingPolicy:
        """What samples may cost and which frames they are of: its own policy, or the usual one."""
        return SamplingPolicy.model_validate(self.sampling or {})


class Presence(models.Model):
    """What the last poll said. Narrow, and written coalesced, because it changes all the time."""

    device = models.OneToOneField(Device, models.CASCADE, primary_key=True, related_name="presence")
    last_seen_at = models.DateTimeField()
    left_at = models.DateTimeField(
        null=True, blank=True, help_text="When the broker said that it is gone."
    )
    boot_id = models.UUIDField()
    previous_boot_id = models.UUIDField(null=True, blank=True, help_text="The boot before.")
    cloned_at = models.DateTimeField(
        null=True, blank=True, help_text="When two boxes were last seen to take turns as it."
    )
    generation = models.BigIntegerField(default=0)
    running_sha256 = models.CharField(max_length=64, blank=True)
    agent_version = models.CharField(max_length=40, blank=True)
    shadow_sha256 = models.CharField(max_length=64, blank=True)
    variant = models.SlugField(max_length=100, blank=True)
    may_build = models.BooleanField(default=False, help_text="It is willing to build.")

    def __str__(self) -> str:
        return f"{self.device} at {self.last_seen_at}"

    @property
    def is_gone(self) -> bool:
        """Whether it left the broker, and has not been heard of since."""
        return self.left_at is not None and self.left_at >= self.last_seen_at


class ReleaseRun(models.Model):
    """One device ran one release, from its first report of it to its first report of another.

    ``heard_until`` is when it last said so; an open run has it in ``Presence.last_seen_at``.
    What was between ``heard_until`` and ``until`` nobody knows.
    """

    device = models.ForeignKey(Device, models.CASCADE, related_name="runs")
    sha256 = models.CharField(max_length=64, help_text="The running digest, as it was reported.")
    since = models.DateTimeField()
    heard_until = models.DateTimeField(null=True, blank=True)
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["device"], condition=Q(until=None), name="one_open_run_per_device"
            )
        ]
        indexes = [
            models.Index(fields=["device", "since"]),
            models.Index(fields=["sha256", "since"]),
            models.Index(fields=["until", "since"]),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.device} ran {self.sha256[:12]} from {self.since}"


class Camera(models.Model):
    """A source on a device; configuration of the device, not of a release."""

    device = models.ForeignKey(Device, models.CASCADE, related_name="cameras")
    name = models.SlugField(max_length=100)
    role = models.SlugField(max_length=100, default="main")
    address = models.CharField(max_length=1000)
    frames_per_s = models.FloatField(default=2.0)
    mm_per_px = models.FloatField(null=True, blank=True)
    sinks = models.JSONField(default=list, help_text="Addresses that verdicts go to as well.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["device", "name"], name="camera_name_per_device")
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.device}/{self.name}"

    @property
    def message(self) -> CameraMessage:
        """The camera as the contract has it."""
        return CameraMessage(
            name=self.name,
            role=self.role,
            address=self.address,
            frames_per_s=self.frames_per_s,
            mm_per_px=self.mm_per_px,
            sinks=tuple(self.sinks),
        )


class AgentRelease(models.Model):
    """A signed wheel with the agent's own code. ``counter`` only grows."""

    version = models.CharField(max_length=40, unique=True)
    counter = models.PositiveBigIntegerField(unique=True)
    path = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    length = models.BigIntegerField()
    published_at = models.DateTimeField()
    published_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["-counter"]

    def __str__(self) -> str:
        return self.version

    @property
    def ref(self) -> AgentRef:
        """The wheel as it goes into a goal."""
        target = TargetRef(path=self.path, sha256=self.sha256, length=self.length)
        return AgentRef(target=target, version=self.version)


class Group(models.Model):
    """A set of devices that are managed together."""

    name = models.SlugField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    agent_release = models.ForeignKey(
        AgentRelease, models.PROTECT, null=True, blank=True, related_name="groups"
    )
    devices = models.ManyToManyField(Device, through="Membership", related_name="groups")

    def __str__(self) -> str:
        return self.title


class Membership(models.Model):
    """A device's place in a group, and since when."""

    group = models.ForeignKey(Group, models.CASCADE, related_name="memberships")
    device = models.ForeignKey(Device, models.CASCADE, related_name="memberships")
    joined_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "device"], name="member_once")]

    def __str__(self) -> str:
        return f"{self.device} in {self.group}"


class EnrolmentToken(models.Model):
    """Lets boxes in: only its SHA-256 is stored, uses are counted, at most 24 hours."""

    digest = models.CharField(max_length=64, unique=True)
    line = models.ForeignKey(Line, models.CASCADE, related_name="enrolment_tokens")
    group = models.ForeignKey(Group, models.SET_NULL, null=True, blank=True)
    uses_left = models.PositiveIntegerField(default=1)
    is_preauthorised = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.line}: {self.uses_left} uses until {self.expires_at}"


class UsedAssertion(models.Model):
    """Client assertions that were exchanged already: each works once."""

    jti = models.CharField(max_length=64, primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.jti
