"""Images and labels by content; a version never changes."""

from __future__ import annotations

from django.db import models


class Purpose(models.TextChoices):
    """What a dataset may be used for. A golden and a calibration set never share an image."""

    GOLDEN = "golden"
    CALIBRATION = "calibration"
    TRAINING = "training"


class DatasetVersion(models.Model):
    """An immutable set of labelled images, named by the digest of its content."""

    name = models.SlugField(max_length=100)
    version = models.SlugField(max_length=50)
    purpose = models.CharField(max_length=20, choices=Purpose)
    sha256 = models.CharField(max_length=64, unique=True)
    labels_sha256 = models.CharField(max_length=64, help_text="Of labels.jsonl, a blob.")
    image_count = models.PositiveIntegerField()
    length = models.BigIntegerField(help_text="Bytes of all its files.")
    notes = models.TextField(blank=True, help_text="Where the images come from, and the licence.")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="dataset_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class DatasetItem(models.Model):
    """One image with its labels, as the line of ``labels.jsonl`` has them."""

    dataset = models.ForeignKey(DatasetVersion, models.CASCADE, related_name="items")
    image = models.CharField(max_length=300, help_text="Path within the dataset.")
    image_sha256 = models.CharField(max_length=64, db_index=True)
    mask = models.CharField(max_length=300, blank=True)
    mask_sha256 = models.CharField(max_length=64, blank=True)
    labels = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "image"], name="image_once")]
        ordering = ["image"]

    def __str__(self) -> str:
        return f"{self.dataset}: {self.image}"
