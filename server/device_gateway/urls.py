"""Addresses for devices, below ``/device/v1/``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from server.device_gateway import builds, files, views

_TURN = "builds/<int:turn_id>"
_CHECK = "checks/<int:turn_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("enrol", views.enrol),
    path("token", views.token),
    path("certificate", views.certificate),
    path("goal", views.goal),
    path("facts", views.facts),
    path("deployments/<uuid:deployment_id>", views.deployment),
    path("telemetry", views.telemetry),
    path("samples", views.samples),
    path("logs", views.logs),
    path(f"{_TURN}/lease", builds.lease),
    path(f"{_TURN}/decline", builds.decline),
    path(f"{_TURN}/return", builds.give_back),
    path(f"{_TURN}/files/<str:sha256>", builds.file),
    path(f"{_TURN}/progress", builds.progress),
    path(f"{_TURN}/artifact", builds.artifact),
    path(f"{_TURN}/outcome", builds.outcome),
    path(f"{_CHECK}/lease", builds.lease_check),
    path(f"{_CHECK}/decline", builds.decline),
    path(f"{_CHECK}/return", builds.give_back),
    path(f"{_CHECK}/files/<str:sha256>", builds.file_of_check),
    path(f"{_CHECK}/progress", builds.progress),
    path(f"{_CHECK}/outcome", builds.outcome_of_check),
    path("tuf/metadata/<str:name>", files.metadata),
    path("tuf/targets/<path:path>", files.target),
]
