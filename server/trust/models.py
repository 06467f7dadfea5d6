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
    place = models.CharField(max_length=8, blank=True, help_text="See ``bins``.")
    waits_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when a second signature is missing; null is served."
    )
    withdrawn_at = models.DateTimeField(
        null=True, blank=True, help_text="For good, where not null."
    )

    class Meta:
        indexes = [
            models.Index(fields=["profile"]),
            models.Index(fields=["profile", "place"], name="targets_by_place"),
        ]
        ordering = ["path"]

    def __str__(self) -> str:
        return self.path

    @property
    def custom_fields(self) -> TargetCustom:
        """What the agent holds the target to, as the contract has it."""
        return TargetCustom.model_validate(self.custom)


class RoleWish(models.Model):
    """The keys that a role shall have, which those who hold the offline keys must sign.

    ``threshold`` 0: the role shall vouch for nothing any more.
    """

    role = models.CharField(max_length=120)
    profile = models.SlugField(max_length=100, blank=True, help_text="Empty: a top-level role.")
    keys = models.JSONField(help_text="Public keys as TUF writes them, by key id.")
    threshold = models.PositiveSmallIntegerField()
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=200)
    done_at = models.DateTimeField(null=True, blank=True, help_text="Signed, or given up.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["role"], condition=models.Q(done_at=None), name="one_wish_per_role"
            )
        ]
        ordering = ["made_at", "id"]

    def __str__(self) -> str:
        return f"{self.role}: {self.threshold} of {len(self.keys)} keys"


class SigningRequest(models.Model):
    """Metadata that wait for signatures of people; published together, or not at all."""

    subject = models.CharField(max_length=120, help_text="``offline``, or the role that waits.")
    documents = models.JSONField(help_text="Metadata by role, with the signatures so far.")
    opened_at = models.DateTimeField()
    opened_by = models.CharField(max_length=200)
    closed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=20, blank=True, help_text="published or replaced")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subject"], condition=models.Q(closed_at=None), name="one_request_open"
            )
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"request {self.pk} for {self.subject}"


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
