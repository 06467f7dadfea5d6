"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import path

from server.registry import alias_api, api, import_api, limits_api

_VERSION = "models/<str:name>/versions/<str:version>"

urlpatterns = [
    path("models", api.ModelList.as_view(), name="models"),
    path("models/<str:name>", api.ModelDetail.as_view(), name="model"),
    path("models/<str:name>/limits", limits_api.LimitsView.as_view(), name="model-limits"),
    path(
        "models/<str:name>/limits/changes",
        limits_api.LimitsChanges.as_view(),
        name="limits-changes",
    ),
    path("models/<str:name>/versions", api.VersionList.as_view(), name="model-versions"),
    path(_VERSION, api.VersionView.as_view(), name="model-version"),
    path(f"{_VERSION}/file", api.VersionFile.as_view(), name="model-file"),
    path(f"{_VERSION}/lineage", alias_api.LineageView.as_view(), name="model-lineage"),
    path("models/<str:name>/aliases", alias_api.AliasList.as_view(), name="aliases"),
    path(
        "models/<str:name>/aliases/<str:alias>/moves",
        alias_api.AliasMoves.as_view(),
        name="alias-moves",
    ),
    path("imports", import_api.ImportList.as_view(), name="imports"),
    path("imports/<uuid:import_id>", import_api.ImportDetail.as_view(), name="import"),
    path("releases", api.ReleaseList.as_view(), name="releases"),
    path("releases/<str:name>", api.ReleaseDetail.as_view(), name="release"),
]
