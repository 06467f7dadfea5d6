"""Models and releases as the API takes and shows them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from server.lib.fields import Body, NameField
from server.registry.licences import warnings_of
from server.registry.limits import in_full
from server.registry.models import ModelVersion, Release, VisionModel


class DatasetRef(Body):
    """A dataset by name and version."""

    name = NameField()
    version = NameField(max_length=50)


class VersionRef(serializers.Serializer[Any]):
    """A version by its model and name."""

    model = serializers.CharField()
    version = serializers.CharField()


class ModelSerializer(serializers.ModelSerializer[VisionModel]):
    """A model with its sets and the names of its versions, the newest first."""

    golden = DatasetRef()
    calibration = DatasetRef()
    versions: serializers.RelatedField = serializers.SlugRelatedField(
        "version", many=True, read_only=True
    )

    limits = serializers.SerializerMethodField()

    class Meta:
        model = VisionModel
        fields = [
            "name",
            "task",
            "title",
            "golden",
            "calibration",
            "limits",
            "versions",
            "created_at",
        ]

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "number"}})
    def get_limits(self, model: VisionModel) -> dict[str, Any]:
        """What its builds must keep, as it is decided today."""
        return in_full(model.limits)


class NewModel(Body):
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


class WarningSerializer(serializers.Serializer[Any]):
    """What a person should know before the model is used."""

    code = serializers.CharField()
    detail = serializers.CharField()


class VersionSerializer(serializers.ModelSerializer[ModelVersion]):
    """A version with what the inspection found, and where it comes from."""

    model = serializers.CharField(source="model.name")
    manifest = serializers.JSONField(source="manifest_body")
    aliases: serializers.RelatedField = serializers.SlugRelatedField(
        "name", many=True, read_only=True
    )
    parent = serializers.SerializerMethodField()  # type: ignore[assignment]  # declared fields are no attributes
    trained_on = DatasetRef(allow_null=True)
    warnings = serializers.SerializerMethodField()

    class Meta:
        model = ModelVersion
        fields = [
            "model",
            "version",
            "aliases",
            "sha256",
            "length",
            "manifest_sha256",
            "manifest",
            "manifest_origin",
            "report",
            "licence",
            "warnings",
            "metrics",
            "parent",
            "trained_on",
            "recipe",
            "source",
            "notes",
            "created_at",
            "created_by",
        ]

    @extend_schema_field(VersionRef(allow_null=True))
    def get_parent(self, version: ModelVersion) -> dict[str, str] | None:
        """The version that it was made from."""
        parent = version.parent
        return {"model": parent.model.name, "version": parent.version} if parent else None

    @extend_schema_field(WarningSerializer(many=True))
    def get_warnings(self, version: ModelVersion) -> list[dict[str, str]]:
        """Of its licence."""
        found = warnings_of(version.licence, version.report.get("metadata", {}))
        return [{"code": warning.code, "detail": warning.detail} for warning in found]


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


class VersionFields(serializers.Serializer[Any]):
    """What every door to a new version takes beside its file."""

    version = NameField(max_length=50)
    manifest = serializers.CharField(
        max_length=4 * 1024 * 1024,
        allow_blank=True,
        default="",
        help_text="A ModelManifest, JSON text; without it, what the file says of itself.",
    )
    licence = serializers.CharField(
        max_length=200,
        allow_blank=True,
        default="",
        help_text="Of a file that comes without a manifest and names none itself.",
    )
    notes = serializers.CharField(max_length=10_000, allow_blank=True, default="")
    metrics = serializers.CharField(
        max_length=64 * 1024, allow_blank=True, default="", help_text='JSON: {"mean_iou": 0.86}.'
    )
    parent = serializers.CharField(  # type: ignore[assignment]  # as above
        max_length=200, allow_blank=True, default="", help_text="version, or model/version."
    )
    trained_on = serializers.CharField(
        max_length=200, allow_blank=True, default="", help_text="A dataset: name/version."
    )
    recipe = serializers.CharField(
        max_length=64 * 1024, allow_blank=True, default="", help_text="JSON with a name."
    )


class VersionUpload(Body, VersionFields):
    """The form of an upload."""

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


class NewRelease(Body):
    """What a new release needs."""

    name = NameField()
    pipeline = serializers.JSONField(help_text="A PipelineSpec.")
    versions = serializers.DictField(
        child=serializers.CharField(max_length=101),
        help_text="By the model's name; @champion is what that alias names now.",
    )
    golden = GoldenCases(
        required=False,
        allow_null=True,
        help_text="Whole frames; without them, the golden sets of its models are used.",
    )
    notes = serializers.CharField(max_length=10_000, allow_blank=True, default="")
