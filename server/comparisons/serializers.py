"""Comparisons as the API takes and shows them."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from server.comparisons.models import Comparison, PictureRow
from server.lib.fields import Body, NameField
from server.registry.serializers import DatasetRef


class ComparedVersion(Body):
    """A version by its model's name and its own."""

    model = NameField()
    version = NameField(max_length=50)


class NewComparison(Body):
    """What is to be compared on what."""

    a = ComparedVersion()
    b = ComparedVersion()
    dataset = DatasetRef(required=False, help_text="Without it, the golden set of A's model.")


class ComparisonSerializer(serializers.ModelSerializer[Comparison]):
    """A comparison with its figures."""

    a = serializers.SerializerMethodField()
    b = serializers.SerializerMethodField()
    dataset = DatasetRef()
    figures = serializers.JSONField(source="figures_body", allow_null=True)

    class Meta:
        model = Comparison
        fields = [
            "id", "a", "b", "dataset", "state", "share", "reason", "figures", "created_at",
            "created_by", "finished_at",
        ]  # fmt: skip

    @extend_schema_field(ComparedVersion)
    def get_a(self, row: Comparison) -> dict[str, str]:
        """Version A."""
        return {"model": row.a.model.name, "version": row.a.version}

    @extend_schema_field(ComparedVersion)
    def get_b(self, row: Comparison) -> dict[str, str]:
        """Version B."""
        return {"model": row.b.model.name, "version": row.b.version}


class PictureSerializer(serializers.ModelSerializer[PictureRow]):
    """What both versions said of a picture."""

    picture = serializers.JSONField(source="body", help_text="A ComparedPicture.")

    class Meta:
        model = PictureRow
        fields = ["image", "a_is_right", "b_is_right", "agrees", "picture"]
