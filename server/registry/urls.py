"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import path

from server.registry import api

_VERSION = "models/<str:name>/versions/<str:version>"

urlpatterns = [
    path("models", api.ModelList.as_view(), name="models"),
    path("models/<str:name>", api.ModelDetail.as_view(), name="model"),
    path("models/<str:name>/versions", api.VersionList.as_view(), name="model-versions"),
    path(_VERSION, api.VersionView.as_view(), name="model-version"),
    path(f"{_VERSION}/file", api.VersionFile.as_view(), name="model-file"),
    path("releases", api.ReleaseList.as_view(), name="releases"),
    path("releases/<str:name>", api.ReleaseDetail.as_view(), name="release"),
]
