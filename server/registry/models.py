"""Models, their versions and aliases, and the releases that use them.

Uploads, moves of an alias and releases never change.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from inference_core.contract.build import ParityLimits
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec
from server.datasets.models import DatasetVersion
from server.lib.leases import LeasedRow
from server.registry.states import ImportState


class VisionModel(models.Model):
    """A model by name and task, with the sets that judge and calibrate its builds."""

    name = models.SlugField(max_length=100, unique=True)
    task = models.CharField(max_length=40)
    title = models.CharField(max_length=200)
    golden = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="judges")
    calibration = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="calibrates")
    limits_body = models.JSONField(
        default=dict, help_text="ParityLimits; empty is the defaults: nobody has set them."
    )
    limits_number = models.PositiveIntegerField(
        default=0, help_text="Number of their last change; 0 where nobody has set them."
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def limits(self) -> ParityLimits:
        """What a candidate must keep to be certified, as it is decided today."""
        return ParityLimits.model_validate(self.limits_body)


class LimitsChange(models.Model):
    """One change of a model's parity limits. Never changed, never deleted."""

    model = models.ForeignKey(VisionModel, models.PROTECT, related_name="limits_changes")
    number = models.PositiveIntegerField()
    old = models.JSONField(help_text="ParityLimits before it, in full.")
    new = models.JSONField(help_text="ParityLimits after it, in full.")
    actor = models.CharField(max_length=200)
    reason = models.TextField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="limits_change_once")
        ]
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"limits of {self.model}, change {self.number}"


class ModelVersion(models.Model):
    """One immutable upload: ONNX and manifest, with what the inspection found.

    ``parent``, ``trained_on`` and ``recipe`` say where it comes from; None is not told.
    """

    model = models.ForeignKey(VisionModel, models.PROTECT, related_name="versions")
    version = models.SlugField(max_length=50)
    sha256 = models.CharField(max_length=64)
    length = models.BigIntegerField()
    manifest_sha256 = models.CharField(max_length=64)
    manifest_body = models.JSONField()
    report = models.JSONField(help_text="InspectionReport of the sandboxed child.")
    licence = models.CharField(max_length=200)
    manifest_origin = models.CharField(
        max_length=200, blank=True, help_text="Who wrote the manifest; empty is who uploaded it."
    )
    metrics = models.JSONField(
        default=dict, help_text="Figures of the original by name, as they came with the upload."
    )
    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="children"
    )
    trained_on = models.ForeignKey(
        DatasetVersion, models.PROTECT, null=True, blank=True, related_name="trained"
    )
    recipe = models.JSONField(null=True, blank=True, help_text="How it was trained: name and more.")
    source = models.JSONField(null=True, blank=True, help_text="What it was imported from.")
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


class Alias(models.Model):
    """A movable name of a version, such as ``champion``; without a version it is set to none."""

    model = models.ForeignKey(VisionModel, models.PROTECT, related_name="aliases")
    name = models.SlugField(max_length=100)
    version = models.ForeignKey(
        ModelVersion, models.PROTECT, null=True, blank=True, related_name="aliases"
    )
    moved_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "name"], name="alias_name_per_model")
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.model}@{self.name}"


class AliasMove(models.Model):
    """One move of an alias. Never changed, never deleted."""

    alias = models.ForeignKey(Alias, models.PROTECT, related_name="moves")
    old = models.ForeignKey(ModelVersion, models.PROTECT, null=True, related_name="+")
    new = models.ForeignKey(ModelVersion, models.PROTECT, null=True, related_name="+")
    actor = models.CharField(max_length=200)
    reason = models.TextField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.alias}: {self.old} → {self.new}"


class ModelImport(LeasedRow):
    """One version of a model in another registry on its way to be a version here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(VisionModel, models.PROTECT, related_name="imports")
    version_name = models.SlugField(max_length=50, help_text="What the version is called here.")
    foreign_name = models.CharField(max_length=500)
    foreign_version = models.CharField(max_length=100, help_text="A number, or @ and an alias.")
    wanted = models.JSONField(default=dict, help_text="Fields of the upload that were given.")
    state = models.CharField(max_length=20, choices=ImportState, default=ImportState.QUEUED)
    step = models.CharField(max_length=20, blank=True)
    bytes_done = models.BigIntegerField(default=0)
    bytes_total = models.BigIntegerField(default=0)
    reason = models.TextField(blank=True, help_text="Why it ended as it did, for a person.")
    version = models.OneToOneField(
        ModelVersion, models.PROTECT, null=True, blank=True, related_name="imported_by"
    )
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "version_name"],
                condition=Q(state__in=(ImportState.QUEUED, ImportState.RUNNING)),
                name="one_open_import_per_version",
            ),
            # A download may be long, and the workers of sweeps have few slots.
            models.UniqueConstraint(
                fields=["state"],
                condition=Q(state=ImportState.RUNNING),
                name="one_import_at_a_time",
            ),
        ]
        indexes = [models.Index(fields=["state"])]
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.foreign_name} {self.foreign_version} as {self.model} {self.version_name}"

    @property
    def share(self) -> float:
        """How much of its bytes has come, 0 to 1."""
        return min(self.bytes_done / self.bytes_total, 1.0) if self.bytes_total else 0.0


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
