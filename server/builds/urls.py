"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import path

from server.builds import api, run_api

urlpatterns = [
    path("builds", api.BuildList.as_view(), name="builds"),
    path("builds/<int:build_id>", api.BuildDetail.as_view(), name="build"),
    path("runs", run_api.RunList.as_view(), name="runs"),
    path("releases/<str:name>/preflight", api.Preflight.as_view(), name="release-preflight"),
]
