"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import path

from server.comparisons import api

_ONE = "comparisons/<int:comparison_id>"

urlpatterns = [
    path("comparisons", api.ComparisonList.as_view(), name="comparisons"),
    path(_ONE, api.ComparisonDetail.as_view(), name="comparison"),
    path(f"{_ONE}/pictures", api.PictureList.as_view(), name="comparison-pictures"),
]
