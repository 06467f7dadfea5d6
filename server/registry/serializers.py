"""Models and releases as the API takes and shows them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from server.lib.fields import NameField
from server.registry.models import ModelVersion, Release, VisionModel


class DatasetRef(serializers.Serializer[Any]):
    """A dataset by name and version."""

    name = NameField()
    version = NameField(max_length=50)


class ModelSerializer(serializers.ModelSerializer[VisionModel]):
    """A model with its sets and the names of its versions, the newest first."""

    golden = DatasetRef()
    calibration = DatasetRef()
    versions: serializers.RelatedField = serializers.SlugRelatedField(
        "version", many=True, read_only=True
    )

    class Meta:
        model = VisionModel
        fields = ["name", "task", "title", "golden", "calibration", "versions", "created_at"]


class NewModel(serializers.Serializer[Any]):
    """What a new model needs."""

    name = NameField()
    task = serializers.CharField(max_length=40)
    title = serializers.CharField(max_length=200)
    golden = DatasetRef()
    calibration = DatasetRef()


class BuildRef(serializers.Serializer[Any]):
    """A build of a version, in short."""

    id = serializers.IntegerField()
    profile = serializers.CharField(source="profile.name")
    state = serializers.CharField()
    reason = serializers.CharField()


class VersionSerializer(serializers.ModelSerializer[ModelVersion]):
    """A version with what the inspection found."""

    model = serializers.CharField(source="model.name")
    manifest = serializers.JSONField(source="manifest_body")

    class Meta:
        model = ModelVersion
        fields = [
            "model",
            "version",
            "sha256",
            "length",
            "manifest_sha256",
            "manifest",
            "report",
            "licence",
            "notes",
            "created_at",
            "created_by",
        ]


class VersionDetail(VersionSerializer):
    """A version with its builds."""

    builds = serializers.SerializerMethodField()

    class Meta(VersionSerializer.Meta):
        fields = [*VersionSerializer.Meta.fields, "builds"]

    @extend_schema_field(BuildRef(many=True))
    def get_builds(self, version: ModelVersion) -> list[dict[str, Any]]:
        """Builds of all profiles, the newest first."""
        builds = version.builds.select_related("profile").defer("log", "candidates")
        return [dict(BuildRef(build).data) for build in builds]


class VersionUpload(serializers.Serializer[Any]):
    """The form of an upload."""

    version = NameField(max_length=50)
    manifest = serializers.CharField(
        max_length=4 * 1024 * 1024, help_text="A ModelManifest, JSON text."
    )
    notes = serializers.CharField(max_length=10_000, allow_blank=True, default="")
    file = serializers.FileField(help_text="One ONNX file with its weights inside.")


class GoldenCases(DatasetRef):
    """Golden pictures of whole frames that a release is held to, with their scale."""

    mm_per_px = serializers.FloatField(
        required=False, allow_null=True, min_value=1e-6, max_value=1000
    )


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    """A release with what it pins."""

    pipeline = serializers.JSONField(source="pipeline_body")
    versions = serializers.SerializerMethodField()
    golden = serializers.SerializerMethodField()

    class Meta:
        model = Release
        fields = [
            "name",
            "counter",
            "pipeline",
            "versions",
            "golden",
            "notes",
            "created_at",
            "created_by",
        ]

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_versions(self, release: Release) -> dict[str, str]:
        """The version of each model, by the model's name."""
        return {version.model.name: version.version for version in release.versions.all()}

    @extend_schema_field(GoldenCases(allow_null=True))
    def get_golden(self, release: Release) -> dict[str, Any] | None:
        """Its own golden cases; null where those of its models are used."""
        golden = release.golden
        if golden is None:
            return None
        return {
            "name": golden.name,
            "version": golden.version,
            "mm_per_px": release.golden_mm_per_px,
        }


class NewRelease(serializers.Serializer[Any]):
    """What a new release needs."""

    name = NameField()
    pipeline = serializers.JSONField(help_text="A PipelineSpec.")
    versions = serializers.DictField(child=serializers.CharField(max_length=50))
    golden = GoldenCases(
        required=False,
        allow_null=True,
        help_text="Whole frames; without them, the golden sets of its models are used.",
    )
    notes = serializers.CharField(max_length=10_000, allow_blank=True, default="")
