"""Golden pipeline checks as the API shows them."""

from __future__ import annotations

from rest_framework import serializers

from server.builds.checks.waiving import MAX_REASON
from server.builds.models import PipelineCheck
from server.lib.fields import Body, NameField


class CheckSerializer(serializers.ModelSerializer[PipelineCheck]):
    """A check with the cases that differ, explained, and its certificate."""

    release = serializers.CharField(source="release.name")
    profile = serializers.CharField(source="profile.name")
    differing = serializers.JSONField()
    certificate = serializers.JSONField(
        help_text="The PipelineCertificate; null unless it succeeded."
    )

    class Meta:
        model = PipelineCheck
        fields = [
            "release",
            "profile",
            "state",
            "attempts",
            "share",
            "reason",
            "cases",
            "differing_count",
            "differing",
            "certificate_sha256",
            "certificate",
            "created_at",
            "started_at",
            "finished_at",
        ]


class NewCheck(Body):
    """On which profile to judge a release again."""

    profile = NameField()


class Waiver(NewCheck):
    """For which profile somebody answers, and why."""

    reason = serializers.CharField(max_length=MAX_REASON)
