"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from server.review.api import DeviceSamplesView, SampleImageView

urlpatterns: list[URLPattern | URLResolver] = [
    path("devices/<uuid:device_id>/samples", DeviceSamplesView.as_view()),
    path("samples/<int:sample_id>/image", SampleImageView.as_view()),
]
