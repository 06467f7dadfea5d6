"""Uploads on their way, and the parts that have come."""

from __future__ import annotations

import uuid

from django.db import models

from server.accounts.models import User
from server.lib.leases import LeasedRow
from server.uploads.states import UploadState


class UploadKind(models.TextChoices):
    """What the bytes will be."""

    MODEL_VERSION = "model_version"
    DATASET = "dataset"


class Upload(LeasedRow):
    """One file on its way. The bytes before ``received`` are stored durably, and no others."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, models.CASCADE, related_name="uploads")
    actor = models.CharField(max_length=200, help_text="Who began it, in the audit log's words.")
    kind = models.CharField(max_length=20, choices=UploadKind)
    form = models.JSONField(help_text="What the service needs beside the file.")
    file_name = models.CharField(max_length=200, blank=True)
    fingerprint = models.CharField(
        max_length=200, blank=True, help_text="The client's own mark, to find the upload again."
    )
    sha256 = models.CharField(max_length=64, blank=True, help_text="Promised by the client.")
    length = models.BigIntegerField()
    received = models.BigIntegerField(default=0)
    state = models.CharField(max_length=20, choices=UploadState, default=UploadState.RECEIVING)
    problem = models.JSONField(null=True, help_text="A problem document, where it is refused.")
    result = models.CharField(max_length=300, blank=True, help_text="Path below /api/v1/.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="When it is given up, unless more bytes come.")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["state", "expires_at"]),
            models.Index(fields=["owner", "fingerprint"]),
        ]
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.kind} {self.file_name or self.pk}"


class UploadPart(models.Model):
    """A stretch of the file in storage. Only parts with a row belong to the upload."""

    upload = models.ForeignKey(Upload, models.CASCADE, related_name="parts")
    offset = models.BigIntegerField()
    length = models.PositiveIntegerField()
    name = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upload", "offset"], name="one_part_there")]
        ordering = ["offset"]

    def __str__(self) -> str:
        return f"{self.upload_id}: {self.length} bytes from {self.offset}"
