"""Frames that devices sent, with the probability that they were chosen."""

from __future__ import annotations

from django.db import models

from server.fleet.models import Device


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
