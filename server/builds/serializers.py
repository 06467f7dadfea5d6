"""Builds as the API shows them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from server.builds import selectors
from server.builds.checks.serializers import TurnSerializer
from server.builds.device_reads import turns_at
from server.builds.models import Artifact, Build, Builder
from server.builds.standing import standing_of
from server.lib.fields import Body, NameField
from server.registry.limits import in_full


class BuildSerializer(serializers.ModelSerializer[Build]):
    """A build in a list."""

    model = serializers.CharField(source="version.model.name")
    version = serializers.CharField(source="version.version")
    profile = serializers.CharField(source="profile.name")

    class Meta:
        model = Build
        fields = [
            "id",
            "model",
            "version",
            "profile",
            "state",
            "attempts",
            "step",
            "share",
            "reason",
            "key",
            "cached_from",
            "created_at",
            "queued_at",
            "started_at",
            "finished_at",
        ]


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    """What a build made, with its certificate."""

    certificate = serializers.JSONField(source="certificate.body")
    device = serializers.CharField(
        source="device.serial", default=None, allow_null=True, help_text="Which device built it."
    )
    waits_for_approval = serializers.BooleanField()
    is_under_todays_limits = serializers.SerializerMethodField()
    shortfall = serializers.SerializerMethodField()

    class Meta:
        model = Artifact
        fields = [
            "sha256",
            "length",
            "runtime",
            "runtime_version",
            "precision",
            "peak_memory_bytes",
            "signed_at",
            "certificate",
            "device",
            "waits_for_approval",
            "approved_at",
            "approved_by",
            "approval_reason",
            "superseded_at",
            "is_under_todays_limits",
            "shortfall",
        ]

    def get_is_under_todays_limits(self, artifact: Artifact) -> bool:
        """Whether it was certified under just the limits that its model has today."""
        return standing_of(artifact).is_under_todays

    def get_shortfall(self, artifact: Artifact) -> str:
        """The first of today's limits that its certificate fails, as a sentence; else empty."""
        return standing_of(artifact).shortfall


class BuildDetailSerializer(BuildSerializer):
    """A build with every candidate, its log, and what it made."""

    artifact = ArtifactSerializer(read_only=True, allow_null=True)
    limits = serializers.SerializerMethodField()
    unserved = serializers.SerializerMethodField()
    turns = serializers.SerializerMethodField()

    class Meta(BuildSerializer.Meta):
        fields = [
            *BuildSerializer.Meta.fields,
            "lease_owner",
            "unserved",
            "recipe",
            "limits",
            "candidates",
            "log",
            "artifact",
            "turns",
        ]

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "number"}})
    def get_limits(self, build: Build) -> dict[str, Any]:
        """What its candidates must keep, as it was decided when it was queued."""
        return in_full(build.limits)

    def get_unserved(self, build: Build) -> str:
        """Why it waits, where no builder serves its queue."""
        return selectors.unserved_because(build)

    @extend_schema_field(TurnSerializer(many=True))
    def get_turns(self, build: Build) -> Any:
        """Devices that were asked, the newest first; none where workers build."""
        return TurnSerializer(turns_at(build), many=True).data

    def to_representation(self, build: Build) -> dict[str, Any]:
        """Without an artifact, the member is null: the reverse of one-to-one raises instead."""
        shown: dict[str, Any] = super().to_representation(build)
        return {**shown, "artifact": shown.get("artifact")}


class ReasonSerializer(Body):
    """Why: it goes into the audit log."""

    reason = serializers.CharField(max_length=2000)


class NewBuild(Body):
    """What to build for which profile."""

    model = NameField()
    version = NameField(max_length=50)
    profile = NameField()
    again = serializers.BooleanField(
        default=False, help_text="After one that was refused or failed."
    )
    reason = serializers.CharField(
        default="", allow_blank=True, max_length=500, help_text="Why, with again."
    )


class RequestedSerializer(BuildSerializer):
    """The build that answers a request; ``note`` says why it is no new one."""

    note = serializers.SerializerMethodField()

    class Meta(BuildSerializer.Meta):
        fields = [*BuildSerializer.Meta.fields, "note"]

    def get_note(self, _: Build) -> str:
        """Empty for a new one."""
        return str(self.context.get("note", ""))


class BuilderSerializer(serializers.ModelSerializer[Builder]):
    """A worker and one queue that it takes builds from."""

    profile = serializers.CharField(source="profile.name")
    is_live = serializers.SerializerMethodField()

    class Meta:
        model = Builder
        fields = ["id", "name", "profile", "problem", "is_live", "seen_at"]

    def get_is_live(self, builder: Builder) -> bool:
        """Whether it was heard of lately, and can build."""
        return selectors.is_live(builder)


class MissingSerializer(serializers.Serializer[Any]):
    """Why a device cannot run a release yet."""

    device = serializers.CharField(source="device.serial")
    profile = serializers.CharField()
    model = serializers.CharField()
    why = serializers.CharField()


class LimitsWarningSerializer(serializers.Serializer[Any]):
    """An artifact that was certified under other limits than its model has today."""

    profile = serializers.CharField()
    model = serializers.CharField()
    artifact_sha256 = serializers.CharField()
    fails = serializers.BooleanField(help_text="Whether its figures fail the limits of today.")
    why = serializers.CharField()


class PreflightSerializer(serializers.Serializer[Any]):
    """Whether a group could take a release now."""

    release = serializers.CharField()
    group = serializers.CharField()
    devices = serializers.IntegerField()
    missing = MissingSerializer(many=True)
    warnings = LimitsWarningSerializer(many=True)
