"""Golden pipeline checks as the API shows them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from server.builds.checks.queueing import MAX_REASON
from server.builds.checks.selectors import turns_at_check, why_check_waits
from server.builds.models import BuildTurn, PipelineCheck
from server.lib.fields import Body, NameField


class TurnSerializer(serializers.ModelSerializer[BuildTurn]):
    """A device that was asked, and what came of it."""

    device = serializers.CharField(source="device.serial")

    class Meta:
        model = BuildTurn
        fields = ["device", "state", "ended", "why", "offered_at", "leased_at", "ended_at"]


class CheckSerializer(serializers.ModelSerializer[PipelineCheck]):
    """A check with the cases that differ, explained, and its certificate."""

    release = serializers.CharField(source="release.name")
    profile = serializers.CharField(source="profile.name")
    differing = serializers.JSONField()
    certificate = serializers.JSONField(
        help_text="The PipelineCertificate; null unless it succeeded."
    )
    device = serializers.CharField(
        source="device.serial",
        default=None,
        allow_null=True,
        help_text="Whose word the outcome is: a device of the profile; null is a host of ours.",
    )
    waits_for_approval = serializers.BooleanField()
    waits_for = serializers.SerializerMethodField()
    turns = serializers.SerializerMethodField()

    class Meta:
        model = PipelineCheck
        fields = [
            "release",
            "profile",
            "number",
            "state",
            "attempts",
            "share",
            "reason",
            "cases",
            "differing_count",
            "differing",
            "certificate_sha256",
            "certificate",
            "device",
            "waits_for_approval",
            "approved_at",
            "approved_by",
            "approval_reason",
            "waits_for",
            "turns",
            "created_at",
            "started_at",
            "finished_at",
        ]

    def get_waits_for(self, check: PipelineCheck) -> str:
        """What it waits for, where devices of the profile judge."""
        return why_check_waits(check)

    @extend_schema_field(TurnSerializer(many=True))
    def get_turns(self, check: PipelineCheck) -> Any:
        """Devices that were asked, the newest first; none where a host judges."""
        return TurnSerializer(turns_at_check(check), many=True).data


class ProfileSerializer(Body):
    """Of which profile the check is."""

    profile = NameField()


class NewCheck(ProfileSerializer):
    """On which profile to judge a release again, and why where a device has answered."""

    reason = serializers.CharField(max_length=MAX_REASON, required=False, default="")


class PersonsWord(ProfileSerializer):
    """For which profile somebody answers, and why."""

    reason = serializers.CharField(max_length=MAX_REASON)
