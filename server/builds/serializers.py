"""Builds as the API shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from server.builds.models import Artifact, Build
from server.lib.fields import NameField


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
            "created_at",
            "started_at",
            "finished_at",
        ]


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    """What a build made, with its certificate."""

    certificate = serializers.JSONField(source="certificate.body")

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
        ]


class BuildDetailSerializer(BuildSerializer):
    """A build with every candidate, its log, and what it made."""

    artifact = ArtifactSerializer(read_only=True, allow_null=True)

    class Meta(BuildSerializer.Meta):
        fields = [*BuildSerializer.Meta.fields, "lease_owner", "candidates", "log", "artifact"]

    def to_representation(self, build: Build) -> dict[str, Any]:
        """Without an artifact, the member is null: the reverse of one-to-one raises instead."""
        shown: dict[str, Any] = super().to_representation(build)
        return {**shown, "artifact": shown.get("artifact")}


class NewBuild(serializers.Serializer[Any]):
    """What to build for which profile."""

    model = NameField()
    version = NameField(max_length=50)
    profile = NameField()


class MissingSerializer(serializers.Serializer[Any]):
    """Why a device cannot run a release yet."""

    device = serializers.CharField(source="device.serial")
    profile = serializers.CharField()
    model = serializers.CharField()
    why = serializers.CharField()


class PreflightSerializer(serializers.Serializer[Any]):
    """Whether a group could take a release now."""

    release = serializers.CharField()
    group = serializers.CharField()
    devices = serializers.IntegerField()
    missing = MissingSerializer(many=True)
