"""Rows that every app leaves: state events, and the outbox."""

from __future__ import annotations

from django.db import models


class StateEvent(models.Model):
    """One move of a state machine. Never changed, never deleted before its subject."""

    subject = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=40)
    old = models.CharField(max_length=30)
    new = models.CharField(max_length=30)
    actor = models.CharField(max_length=200)
    reason = models.TextField(blank=True)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["subject", "subject_id", "at"])]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.subject} {self.subject_id}: {self.old} → {self.new}"


class OutboxMessage(models.Model):
    """Something to do after the commit; a relay repeats it until it is done.

    Written in the transaction that causes it, so that a crash between commit and enqueue
    delays it only.
    """

    topic = models.CharField(max_length=60)
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["topic", "id"])]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.topic} {self.pk}"
