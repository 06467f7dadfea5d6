"""Models and the releases that use them. Uploads and releases never change."""

from __future__ import annotations

from django.db import models

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec
from server.datasets.models import DatasetVersion


class VisionModel(models.Model):
    """A model by name and task, with the sets that judge and calibrate its builds."""

    name = models.SlugField(max_length=100, unique=True)
    task = models.CharField(max_length=40)
    title = models.CharField(max_length=200)
    golden = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="judges")
    calibration = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="calibrates")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ModelVersion(models.Model):
    """One immutable upload: ONNX and manifest, with what the inspection found."""

    model = models.ForeignKey(VisionModel, models.PROTECT, related_name="versions")
    version = models.SlugField(max_length=50)
    sha256 = models.CharField(max_length=64)
    length = models.BigIntegerField()
    manifest_sha256 = models.CharField(max_length=64)
    manifest_body = models.JSONField()
    report = models.JSONField(help_text="InspectionReport of the sandboxed child.")
    licence = models.CharField(max_length=200)
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "version"], name="model_version_once"),
            models.UniqueConstraint(
                fields=["model", "sha256", "manifest_sha256"], name="model_content_once"
            ),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.model} {self.version}"

    @property
    def manifest(self) -> ModelManifest:
        """The manifest as the contract has it."""
        return ModelManifest.model_validate(self.manifest_body)


class Release(models.Model):
    """The deployable: a pipeline with the versions that it pins. ``counter`` only grows."""

    name = models.SlugField(max_length=100, unique=True)
    counter = models.PositiveBigIntegerField(unique=True)
    pipeline_body = models.JSONField()
    versions = models.ManyToManyField(ModelVersion, related_name="releases")
    golden = models.ForeignKey(
        DatasetVersion,
        models.PROTECT,
        related_name="judges_releases",
        null=True,
        blank=True,
        help_text="Whole frames that judge it; without one, the golden sets of its models do.",
    )
    golden_mm_per_px = models.FloatField(
        null=True, blank=True, help_text="Scale of those frames; else that of the cameras."
    )
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["-counter"]

    def __str__(self) -> str:
        return self.name

    @property
    def pipeline(self) -> PipelineSpec:
        """The pipeline as the contract has it."""
        return PipelineSpec.model_validate(self.pipeline_body)
