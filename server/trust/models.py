"""The TUF repository in rows: one transaction publishes, replicas serve."""

from __future__ import annotations

from django.db import models

from inference_core.contract.release import TargetCustom
from server.fleet.models import Device


class MetadataFile(models.Model):
    """One signed version of one role's metadata, byte for byte as it is served."""

    role = models.CharField(max_length=120)
    version = models.PositiveIntegerField()
    body = models.BinaryField()
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["role", "version"], name="metadata_version_once")
        ]
        ordering = ["role", "-version"]

    def __str__(self) -> str:
        return f"{self.version}.{self.role}"


class SignedTarget(models.Model):
    """A target that a profile's role vouches for; its bytes are a blob."""

    profile = models.SlugField(max_length=100)
    path = models.CharField(max_length=300, unique=True)
    sha256 = models.CharField(max_length=64)
    length = models.BigIntegerField()
    custom = models.JSONField()
    signed_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["profile"])]
        ordering = ["path"]

    def __str__(self) -> str:
        return self.path

    @property
    def custom_fields(self) -> TargetCustom:
        """What the agent holds the target to, as the contract has it."""
        return TargetCustom.model_validate(self.custom)


class DeviceCertificate(models.Model):
    """A client certificate that a device was given; ``revoked_at`` while it is not believed."""

    serial = models.CharField(max_length=40, primary_key=True, help_text="Hex.")
    device = models.ForeignKey(Device, models.CASCADE, related_name="certificates")
    public_key = models.TextField(help_text="The device's key that it was issued for, PEM.")
    issued_at = models.DateTimeField()
    not_after = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["device", "issued_at"], name="certificates_of_device"),
            models.Index(
                fields=["not_after"],
                name="certificates_revoked",
                condition=models.Q(revoked_at__isnull=False),
            ),
        ]
        ordering = ["issued_at"]

    def __str__(self) -> str:
        return f"{self.serial} of {self.device_id}"
