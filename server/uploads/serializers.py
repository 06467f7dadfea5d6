"""Uploads as the API takes and shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from server.uploads.models import Upload, UploadKind


class UploadSerializer(serializers.ModelSerializer[Upload]):
    """An upload as its owner sees it."""

    form = serializers.JSONField(help_text="What was given beside the file.")
    problem = serializers.JSONField(allow_null=True, help_text="Why it is refused.")
    result = serializers.CharField(help_text="Path below /api/v1/ of what it became.")

    class Meta:
        model = Upload
        fields = [
            "id",
            "kind",
            "form",
            "file_name",
            "fingerprint",
            "length",
            "received",
            "state",
            "problem",
            "result",
            "created_at",
            "expires_at",
        ]


class NewUpload(serializers.Serializer[Any]):
    """What every upload begins with; the kind's own fields stand beside these."""

    kind = serializers.ChoiceField(choices=UploadKind.choices)
    file_name = serializers.CharField(max_length=200, default="", allow_blank=True)
    fingerprint = serializers.CharField(
        max_length=200,
        default="",
        allow_blank=True,
        help_text="Your own mark, to find the upload again: ?fingerprint= of the list.",
    )
    sha256 = serializers.RegexField(
        r"^[0-9a-f]{64}$",
        default="",
        allow_blank=True,
        help_text="Of the whole file; checked when all of it has come.",
    )
