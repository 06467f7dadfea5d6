"""People, programs, and what each of them did."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.functional import cached_property


class Role(models.TextChoices):
    """What somebody may do, each including the ones before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    RELEASER = "releaser"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Position in the order of rights; higher may do more."""
        return list(Role).index(self)


class User(AbstractUser):
    """A person who signs in."""

    @cached_property
    def assignments(self) -> tuple[RoleAssignment, ...]:
        """Roles as they were when first asked: one read a request, not one a check."""
        return tuple(self.roles.all())

    def forget_assignments(self) -> None:
        """Read the roles afresh when next asked."""
        self.__dict__.pop("assignments", None)


class RoleAssignment(models.Model):
    """A role of a user: at one site, or everywhere when ``site`` is empty."""

    user = models.ForeignKey(User, models.CASCADE, related_name="roles")
    role = models.CharField(max_length=20, choices=Role)
    site = models.SlugField(max_length=100, blank=True, help_text="Name of a site; empty is all.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "site"], name="one_role_per_user_and_site")
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.role} of {self.site or 'all sites'}"


class ApiToken(models.Model):
    """A program's credential; only its SHA-256 is stored."""

    user = models.ForeignKey(User, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"


class AuditEntry(models.Model):
    """Who did what and why. Append-only, written in the transaction of the act itself."""

    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=60)
    subject = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=100)
    reason = models.TextField(blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        indexes = [models.Index(fields=["subject", "subject_id"])]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.subject} {self.subject_id}"
