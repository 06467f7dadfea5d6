"""Samples and their pictures."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request

from server.accounts.permissions import RoledView
from server.fleet.selectors import device_for
from server.lib import blobs
from server.lib.errors import NotFound
from server.lib.pagination import pages_by
from server.review.models import Sample
from server.review.selectors import sample_for, samples_for


class SampleSerializer(serializers.ModelSerializer):
    """A sampled frame with what was found on it."""

    result = serializers.DictField(help_text="FrameResult of the contract.")

    class Meta:
        model = Sample
        fields = (
            "id",
            "device",
            "camera",
            "release_sha256",
            "image_sha256",
            "inclusion_probability",
            "reason",
            "verdict",
            "result",
            "captured_at",
            "received_at",
        )


class SampleFilter(django_filters.FilterSet):
    """By camera, release, verdict and reason."""

    class Meta:
        model = Sample
        fields = ("camera", "release_sha256", "verdict", "reason")


class DeviceSamplesView(RoledView, ListAPIView):
    """``devices/{id}/samples``."""

    serializer_class = SampleSerializer
    filterset_class = SampleFilter
    pagination_class = pages_by("-captured_at", "-pk")

    def get_queryset(self) -> QuerySet[Sample]:
        """Samples of one device; NotFound where it lies outside the caller's scope."""
        if getattr(self, "swagger_fake_view", False):
            return Sample.objects.none()
        device = device_for(self.request.user, self.kwargs["device_id"])
        return samples_for(self.request.user).filter(device=device)


class SampleImageView(RoledView):
    """``samples/{id}/image``."""

    @extend_schema(responses={(200, "image/jpeg"): OpenApiTypes.BINARY})
    def get(self, request: Request, sample_id: int) -> FileResponse:
        """The picture itself."""
        sample = sample_for(request.user, sample_id)
        try:
            file = blobs.open_blob(sample.image_sha256)
        except FileNotFoundError:
            raise NotFound("The picture of this sample is no longer kept.") from None
        return FileResponse(
            file,
            content_type="image/jpeg",
            filename=f"sample-{sample.pk}.jpg",
            headers={
                "Cache-Control": "private, max-age=31536000, immutable",
                "X-Content-Type-Options": "nosniff",
            },
        )
