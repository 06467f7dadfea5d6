"""Doorbells that wait to be rung."""

from __future__ import annotations

from django.db import models

from server.fleet.models import Device


class Doorbell(models.Model):
    """One a device at most: a later change of the goal takes the place of an earlier one."""

    device = models.OneToOneField(Device, models.CASCADE, primary_key=True, related_name="+")
    generation = models.BigIntegerField()
    rung_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.device_id}: generation {self.generation}"
