"""Comparisons, and what both versions said of each picture. Neither changes once it is there."""

from __future__ import annotations

from django.db import models

from inference_core.contract.compare import ComparedPicture, CompareFigures
from server.comparisons.states import ComparisonState
from server.datasets.models import DatasetVersion
from server.lib.leases import LeasedRow
from server.registry.models import ModelVersion


class Comparison(LeasedRow):
    """Versions A and B on one dataset. ``key`` makes the same request the same row."""

    key = models.CharField(max_length=64, unique=True)
    a = models.ForeignKey(ModelVersion, models.PROTECT, related_name="compared_as_a")
    b = models.ForeignKey(ModelVersion, models.PROTECT, related_name="compared_as_b")
    dataset = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="comparisons")
    state = models.CharField(max_length=20, choices=ComparisonState, default=ComparisonState.QUEUED)
    share = models.FloatField(default=0.0, help_text="How much is done, 0 to 1.")
    reason = models.TextField(blank=True, help_text="Why it failed, for a person.")
    figures_body = models.JSONField(null=True, help_text="CompareFigures.")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["state"])]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.a} and {self.b} on {self.dataset}"

    @property
    def figures(self) -> CompareFigures | None:
        """The figures as the contract has them."""
        return self.figures_body and CompareFigures.model_validate(self.figures_body)


class PictureRow(models.Model):
    """One picture of a comparison."""

    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="pictures")
    image = models.CharField(max_length=300)
    image_sha256 = models.CharField(max_length=64)
    a_is_right = models.BooleanField()
    b_is_right = models.BooleanField()
    agrees = models.BooleanField()
    body = models.JSONField(help_text="ComparedPicture.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["comparison", "image"], name="compared_once")
        ]
        indexes = [
            models.Index(fields=["comparison", "a_is_right", "b_is_right"]),
            models.Index(fields=["comparison", "agrees"]),
        ]
        ordering = ["image"]

    def __str__(self) -> str:
        return f"{self.comparison_id}: {self.image}"

    @property
    def compared(self) -> ComparedPicture:
        """The picture as the contract has it."""
        return ComparedPicture.model_validate(self.body)
