"""Aliases, their moves, and lines of descent as the API takes and shows them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from server.lib.fields import Body
from server.registry.models import Alias, AliasMove, ModelVersion
from server.registry.serializers import DatasetRef, VersionRef


class AliasSerializer(serializers.ModelSerializer[Alias]):
    """An alias; ``version`` is null where it names none now."""

    version = serializers.CharField(source="version.version", allow_null=True, default=None)

    class Meta:
        model = Alias
        fields = ["name", "version", "moved_at"]


class AliasMoveSerializer(serializers.ModelSerializer[AliasMove]):
    """One move of an alias; null is no version."""

    old = serializers.CharField(source="old.version", allow_null=True, default=None)
    new = serializers.CharField(source="new.version", allow_null=True, default=None)

    class Meta:
        model = AliasMove
        fields = ["old", "new", "actor", "reason", "at"]


class NewAliasMove(Body):
    """What a move needs. ``expected`` is the version that the alias names for the caller now."""

    version = serializers.CharField(max_length=50, allow_null=True)
    expected = serializers.CharField(max_length=50, allow_null=True)
    reason = serializers.CharField(max_length=1000)


class LineageNode(serializers.Serializer[Any]):
    """A version in a line."""

    model = serializers.CharField(source="model.name")
    version = serializers.CharField()
    parent = serializers.SerializerMethodField()  # type: ignore[assignment]  # declared fields are no attributes
    trained_on = DatasetRef(allow_null=True)
    recipe = serializers.JSONField(allow_null=True)
    created_at = serializers.DateTimeField()

    @extend_schema_field(VersionRef(allow_null=True))
    def get_parent(self, version: ModelVersion) -> dict[str, str] | None:
        """The version that it was made from."""
        parent = version.parent
        return {"model": parent.model.name, "version": parent.version} if parent else None


class LineageSerializer(serializers.Serializer[Any]):
    """Ancestors from the oldest on; descendants with parents before their children."""

    version = LineageNode()
    ancestors = LineageNode(many=True)
    descendants = LineageNode(many=True)
    is_cut = serializers.BooleanField(help_text="There are more than are shown.")
