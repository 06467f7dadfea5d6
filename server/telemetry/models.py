"""What devices told us, each record exactly once."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from server.fleet.models import Device


class Cursor(models.Model):
    """How far a boot of a device is stored. Locked while a batch goes in."""

    device = models.ForeignKey(Device, models.CASCADE, related_name="cursors")
    boot_id = models.UUIDField()
    acked_seq = models.PositiveBigIntegerField(default=0)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["device", "boot_id"], name="cursor_once")]

    def __str__(self) -> str:
        return f"{self.device} {self.boot_id}: {self.acked_seq}"


class HourSummary(models.Model):
    """Merged summaries of one camera under one release within one UTC hour."""

    device = models.ForeignKey(Device, models.CASCADE, related_name="summaries")
    camera = models.SlugField(max_length=100)
    release_sha256 = models.CharField(max_length=64)
    hour = models.DateTimeField()
    frames = models.PositiveBigIntegerField(default=0)
    passed = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    lost = models.JSONField(default=dict)
    faults = models.JSONField(default=dict)
    latency_ms = models.JSONField(default=dict, help_text="Histograms by stage.")
    signals = models.JSONField(null=True, help_text="Merged Signals; null is none reported.")
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["device", "camera", "release_sha256", "hour"], name="summary_once"
            )
        ]
        indexes = [models.Index(fields=["release_sha256", "hour"])]

    def __str__(self) -> str:
        return f"{self.device} {self.hour}"


class ShadowHour(models.Model):
    """How often a release in the shadow differed on one camera within one UTC hour, merged."""

    device = models.ForeignKey(Device, models.CASCADE, related_name="shadow_hours")
    camera = models.SlugField(max_length=100)
    release_sha256 = models.CharField(max_length=64, help_text="The release that decided.")
    shadow_sha256 = models.CharField(max_length=64)
    hour = models.DateTimeField()
    pairs = models.PositiveBigIntegerField(default=0)
    both_pass = models.PositiveBigIntegerField(default=0)
    both_fail = models.PositiveBigIntegerField(default=0)
    only_release_fails = models.PositiveBigIntegerField(default=0)
    only_shadow_fails = models.PositiveBigIntegerField(default=0)
    skipped = models.PositiveBigIntegerField(default=0)
    faults = models.JSONField(default=dict)
    latency_ms = models.JSONField(default=dict, help_text="Histogram of the shadow's frames.")
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["device", "camera", "release_sha256", "shadow_sha256", "hour"],
                name="shadow_hour_once",
            )
        ]
        indexes = [models.Index(fields=["shadow_sha256", "hour"])]

    def __str__(self) -> str:
        return f"{self.device} {self.hour}: {self.pairs} pairs"


class TelemetryRecord(models.Model):
    """Health, events and gaps as they came. ``body`` is the contract's message."""

    device = models.ForeignKey(Device, models.CASCADE, related_name="records")
    boot_id = models.UUIDField()
    seq = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=20)
    captured_at = models.DateTimeField()
    received_at = models.DateTimeField()
    body = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["device", "boot_id", "seq"], name="record_once")
        ]
        indexes = [models.Index(fields=["device", "kind", "-captured_at"])]

    def __str__(self) -> str:
        return f"{self.device} {self.kind} {self.seq}"


class QuarantinedRecord(models.Model):
    """A record that nobody could read: set aside, so that the rest flows."""

    device = models.ForeignKey(Device, models.CASCADE, related_name="quarantined")
    boot_id = models.UUIDField()
    seq = models.PositiveBigIntegerField()
    received_at = models.DateTimeField()
    raw = models.TextField()
    problem = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["device", "boot_id", "seq"], name="quarantined_once")
        ]

    def __str__(self) -> str:
        return f"{self.device} {self.seq}: {self.problem[:60]}"


class LogRequest(models.Model):
    """Somebody asks a device for its logs: waiting, then received, forgotten in the end."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    device = models.ForeignKey(Device, models.CASCADE, related_name="log_requests")
    requested_at = models.DateTimeField()
    requested_by = models.CharField(max_length=200)
    received_at = models.DateTimeField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    length = models.PositiveBigIntegerField(default=0)
    forgotten_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["device"],
                condition=Q(received_at=None, forgotten_at=None),
                name="one_waiting_log_request",
            )
        ]
        indexes = [models.Index(fields=["device", "-requested_at"])]

    def __str__(self) -> str:
        return f"logs of {self.device}, asked for at {self.requested_at}"

    @property
    def word(self) -> str:
        """waiting, received or forgotten."""
        if self.forgotten_at:
            return "forgotten"
        return "received" if self.received_at else "waiting"

    @property
    def file_name(self) -> str:
        """Where the bundle is stored. Not among the blobs, which others may share: it is deleted.

        A device that sent a copy of an artifact as its logs would take the artifact along.
        """
        return f"logs/{self.pk}/{self.sha256}.zip"
