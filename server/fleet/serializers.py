"""The fleet as the API shows it."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from server.fleet.clones import is_cloned
from server.fleet.keys import fingerprint
from server.fleet.models import (
    AgentRelease,
    Camera,
    Device,
    Group,
    HardwareProfile,
    Line,
    Presence,
    ProfileProposal,
    Site,
)
from server.fleet.selectors import PresenceWord, agent_release_of, presence
from server.lib import clock


class SiteSerializer(serializers.ModelSerializer):
    """A factory."""

    class Meta:
        model = Site
        fields = ("name", "title")


class LineSerializer(serializers.ModelSerializer):
    """A production line."""

    site = serializers.CharField(source="site.name")
    update_window = serializers.DictField(
        allow_null=True, help_text="UpdateWindow of the contract; null is at any time."
    )

    class Meta:
        model = Line
        fields = ("site", "name", "title", "update_window")


class GroupSerializer(serializers.ModelSerializer):
    """A group. ``device_count`` counts the devices within the caller's sites."""

    device_count = serializers.IntegerField()
    agent_release = serializers.CharField(
        source="agent_release.version", default=None, allow_null=True
    )

    class Meta:
        model = Group
        fields = ("name", "title", "device_count", "agent_release")


class AgentReleaseSerializer(serializers.ModelSerializer):
    """A signed wheel with the agent's own code."""

    class Meta:
        model = AgentRelease
        fields = ("version", "counter", "sha256", "length", "published_at", "published_by")


class HardwareProfileSerializer(serializers.ModelSerializer):
    """What artifacts are built for."""

    precisions = serializers.ListField(child=serializers.CharField())
    tensorrt = serializers.DictField(allow_null=True)
    requires = serializers.DictField(help_text="What a device must be for it: Requirements.")
    device_count = serializers.IntegerField(help_text="Devices within the caller's sites.")
    artifact_count = serializers.IntegerField()

    class Meta:
        model = HardwareProfile
        fields = (
            "name",
            "title",
            "runtime",
            "runtime_version",
            "architecture",
            "precisions",
            "threads",
            "accelerator",
            "compute_device",
            "tensorrt",
            "requires",
            "is_seeded",
            "device_count",
            "artifact_count",
        )


class ProfileProposalSerializer(serializers.ModelSerializer):
    """A profile that a device would need; an admin accepts or dismisses it."""

    profile = serializers.DictField(source="body", help_text="What accepting it makes.")

    class Meta:
        model = ProfileProposal
        fields = ("name", "profile", "serial", "why", "asked_at")


class ProfileWhySerializer(serializers.Serializer):
    """A profile with why it fits, or does not."""

    profile = serializers.CharField(source="profile.name")
    why = serializers.CharField()


class MatchSerializer(serializers.Serializer):
    """Which profiles suit a device by its facts, the best first, and which nearly do."""

    fitting = ProfileWhySerializer(many=True)
    near = ProfileWhySerializer(many=True)


class IssuedTokenSerializer(serializers.Serializer):
    """An enrolment token; it is never shown again."""

    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


@extend_schema_serializer(component_name="DeviceCamera")
class CameraSerializer(serializers.ModelSerializer):
    """A camera of a device."""

    sinks = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Camera
        fields = ("name", "role", "address", "frames_per_s", "mm_per_px", "sinks")


class DeviceSerializer(serializers.ModelSerializer):
    """A device in a list."""

    site = serializers.CharField(source="line.site.name")
    line = serializers.CharField(source="line.name")
    profile = serializers.CharField(source="profile.name")
    groups = serializers.SerializerMethodField()
    presence = serializers.SerializerMethodField()
    last_seen_at = serializers.SerializerMethodField()
    running_sha256 = serializers.SerializerMethodField()
    generation = serializers.SerializerMethodField()
    agent_version = serializers.SerializerMethodField()
    has_new_key = serializers.SerializerMethodField()
    is_cloned = serializers.SerializerMethodField()

    class Meta:
        model = Device
        fields: tuple[str, ...] = (
            "id",
            "serial",
            "state",
            "site",
            "line",
            "profile",
            "groups",
            "presence",
            "last_seen_at",
            "running_sha256",
            "generation",
            "agent_version",
            "has_new_key",
            "is_cloned",
            "enrolled_at",
        )

    def get_groups(self, device: Device) -> list[str]:
        """Names of its groups."""
        return sorted(group.name for group in device.groups.all())

    def get_presence(self, device: Device) -> PresenceWord:
        """online, stale or offline."""
        return presence(device, clock.now())

    def get_last_seen_at(self, device: Device) -> str | None:
        """The last poll; null for none yet."""
        row = _last_poll(device)
        return row.last_seen_at.isoformat() if row else None

    def get_running_sha256(self, device: Device) -> str | None:
        """Digest of the release manifest that it runs, as it says."""
        row = _last_poll(device)
        return (row.running_sha256 or None) if row else None

    def get_generation(self, device: Device) -> int | None:
        """Generation of the goal that it knows of."""
        row = _last_poll(device)
        return row.generation if row else None

    def get_agent_version(self, device: Device) -> str | None:
        """Version of its agent."""
        row = _last_poll(device)
        return (row.agent_version or None) if row else None

    def get_has_new_key(self, device: Device) -> bool:
        """Whether another key asked for its serial and waits for an admin."""
        return bool(device.pending_public_key)

    def get_is_cloned(self, device: Device) -> bool:
        """Whether two boxes have spoken as this device within a day."""
        return is_cloned(_last_poll(device), clock.now())


class DeviceDetailSerializer(DeviceSerializer):
    """A device on its own."""

    cameras = CameraSerializer(many=True)
    sampling = serializers.DictField(
        allow_null=True, help_text="Its own policy of sampling; null is the usual one."
    )
    key_fingerprint = serializers.SerializerMethodField()
    new_key_fingerprint = serializers.SerializerMethodField()
    reported_variant = serializers.SerializerMethodField()
    reported_shadow_sha256 = serializers.SerializerMethodField()
    wanted_agent = serializers.SerializerMethodField()
    facts = serializers.DictField()

    class Meta(DeviceSerializer.Meta):
        fields = (
            *DeviceSerializer.Meta.fields,
            "cameras",
            "sample_every_s",
            "sampling",
            "key_fingerprint",
            "new_key_fingerprint",
            "misfit",
            "variant",
            "reported_variant",
            "reported_shadow_sha256",
            "wanted_agent",
            "facts",
        )

    def get_reported_variant(self, device: Device) -> str | None:
        """The arm that it takes itself for; differs from ``variant`` where something is wrong."""
        row = _last_poll(device)
        return (row.variant or None) if row else None

    def get_reported_shadow_sha256(self, device: Device) -> str | None:
        """Digest of the release that runs in its shadow, as it says."""
        row = _last_poll(device)
        return (row.shadow_sha256 or None) if row else None

    def get_wanted_agent(self, device: Device) -> str | None:
        """Version of the agent that it should run; null is the one that it has."""
        release = agent_release_of(device)
        return release.version if release else None

    def get_key_fingerprint(self, device: Device) -> str:
        """SHA-256 of the key in force."""
        return fingerprint(device.public_key)

    def get_new_key_fingerprint(self, device: Device) -> str:
        """SHA-256 of the key that waits; empty for none."""
        return fingerprint(device.pending_public_key)


def _last_poll(device: Device) -> Presence | None:
    return getattr(device, "presence", None)
