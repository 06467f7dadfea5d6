"""Rollouts as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from server.lib.fields import Body, NameField
from server.rollouts.models import Deployment, Rollout, Stage
from server.rollouts.policy import MAX_STAGES
from server.rollouts.services.rollouts import MAX_REASON


class RolloutRequest(Body):
    """What a new rollout needs. ``policy`` and the stages are read by their own messages."""

    name = serializers.CharField(max_length=200)
    release = NameField()
    group = NameField()
    stages = serializers.ListField(
        child=serializers.DictField(),
        max_length=MAX_STAGES,
        help_text='Each {"devices": 1} or {"share": 0.25}, earlier stages included; '
        'the last one is {"share": 1.0}.',
    )
    policy = serializers.DictField(required=False, default=dict, help_text="RolloutPolicy.")
    start = serializers.BooleanField(default=False)


class ReasonRequest(Body):
    """Why somebody acts; needed to stop and to roll back."""

    reason = serializers.CharField(
        max_length=MAX_REASON, required=False, default="", allow_blank=True
    )


class StageSerializer(serializers.ModelSerializer):
    """A stage with the last word of its gate."""

    plan = serializers.DictField(read_only=True)
    verdict = serializers.SerializerMethodField()

    class Meta:
        model = Stage
        fields = (
            "index",
            "plan",
            "size",
            "state",
            "verdict",
            "opened_at",
            "soaking_since",
            "finished_at",
        )

    def get_verdict(self, stage: Stage) -> dict[str, Any] | None:
        """``word``, ``reasons`` and ``metrics``, and the ``evidence`` they rest on."""
        if not stage.verdict:
            return None
        return {**stage.verdict["verdict"], "evidence": stage.verdict["evidence"]}


class DeploymentSerializer(serializers.ModelSerializer):
    """One device's part."""

    device = serializers.UUIDField(source="device_id", read_only=True)
    serial = serializers.CharField(source="device.serial", read_only=True)
    profile = serializers.CharField(source="device.profile.name", read_only=True)
    stage = serializers.IntegerField(source="stage.index", read_only=True)
    target_sha256 = serializers.CharField(source="target.sha256", read_only=True)
    previous_sha256 = serializers.CharField(
        source="previous.sha256", read_only=True, default=None, allow_null=True
    )

    class Meta:
        model = Deployment
        fields = (
            "id",
            "device",
            "serial",
            "profile",
            "stage",
            "phase",
            "cause",
            "detail",
            "target_sha256",
            "previous_sha256",
            "created_at",
            "updated_at",
            "finished_at",
        )


class RolloutSerializer(serializers.ModelSerializer):
    """A rollout as a line of a list. ``release`` is null where it takes another one back."""

    release = serializers.CharField(
        source="release.name", read_only=True, default=None, allow_null=True
    )
    group = serializers.CharField(source="group.name", read_only=True)
    undoes = serializers.UUIDField(source="undoes_id", read_only=True, allow_null=True)
    policy = serializers.DictField(read_only=True)

    class Meta:
        model = Rollout
        fields: tuple[str, ...] = (
            "id",
            "name",
            "epoch",
            "release",
            "group",
            "undoes",
            "state",
            "reason",
            "policy",
            "created_at",
            "created_by",
            "started_at",
            "finished_at",
        )


class RolloutDetailSerializer(RolloutSerializer):
    """A rollout with its stages and every device's part."""

    stages = StageSerializer(many=True, read_only=True)
    deployments = serializers.SerializerMethodField()

    class Meta(RolloutSerializer.Meta):
        fields = (*RolloutSerializer.Meta.fields, "stages", "deployments")

    def get_deployments(self, rollout: Rollout) -> list[dict[str, Any]]:
        """By stage, then by serial."""
        parts = rollout.deployments.select_related("device__profile", "stage", "target", "previous")
        ordered = parts.order_by("stage__index", "device__serial")
        return list(DeploymentSerializer(ordered, many=True).data)
