"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import path

from server.builds import api, run_api
from server.builds.checks.api import ApproveCheck, ReleaseChecks, WaiveCheck

urlpatterns = [
    path("builds", api.BuildList.as_view(), name="builds"),
    path("builds/<int:build_id>", api.BuildDetail.as_view(), name="build"),
    path("builds/<int:build_id>/cancel", api.CancelBuild.as_view(), name="cancel-build"),
    path("builders", api.BuilderList.as_view(), name="builders"),
    path("builds/<int:build_id>/approve", api.ApproveArtifact.as_view()),
    path("builds/<int:build_id>/reject", api.RejectArtifact.as_view()),
    path("runs", run_api.RunList.as_view(), name="runs"),
    path("releases/<str:name>/checks", ReleaseChecks.as_view(), name="release-checks"),
    path("releases/<str:name>/checks/approve", ApproveCheck.as_view(), name="approve-check"),
    path("releases/<str:name>/checks/waive", WaiveCheck.as_view(), name="waive-check"),
    path("releases/<str:name>/preflight", api.Preflight.as_view(), name="release-preflight"),
]
