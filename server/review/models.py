"""Frames that devices sent, with the probability that they were chosen; labels under review."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from server.comparisons.models import PictureRow
from server.datasets.models import DatasetVersion
from server.fleet.models import Device
from server.review.states import ReviewState


class Sample(models.Model):
    """An uploaded frame with its result; the image is a blob."""

    device = models.ForeignKey(Device, models.CASCADE, related_name="samples")
    camera = models.SlugField(max_length=100)
    release_sha256 = models.CharField(max_length=64)
    image_sha256 = models.CharField(max_length=64)
    inclusion_probability = models.FloatField()
    reason = models.CharField(max_length=20)
    verdict = models.CharField(max_length=10)
    result = models.JSONField(help_text="FrameResult of the contract.")
    captured_at = models.DateTimeField()
    received_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["device", "image_sha256", "captured_at"], name="sample_once"
            )
        ]
        indexes = [models.Index(fields=["device", "-captured_at"])]
        ordering = ["-captured_at"]

    def __str__(self) -> str:
        return f"{self.device}/{self.camera} {self.captured_at}: {self.verdict}"


class LabelReview(models.Model):
    """A picture of a dataset whose label a person is asked to look at, beside two answers to it.

    The dataset never changes: what is found to be wrong is for its next version.
    """

    dataset = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="label_reviews")
    image = models.CharField(max_length=300, help_text="Path within the dataset.")
    picture = models.ForeignKey(
        PictureRow, models.PROTECT, related_name="reviews", help_text="Label and both answers."
    )
    why = models.CharField(max_length=20, help_text="What was chosen: disagree, only-a-wrong, ...")
    state = models.CharField(max_length=20, choices=ReviewState, default=ReviewState.WAITING)
    note = models.TextField(blank=True, help_text="What the label should be.")
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=200)
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "image"],
                condition=Q(state=ReviewState.WAITING),
                name="label_waits_once",
            )
        ]
        indexes = [models.Index(fields=["state", "id"])]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.dataset}: {self.image}"
