"""Addresses for devices, below ``/device/v1/``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from server.device_gateway import files, views

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
    path("tuf/metadata/<str:name>", files.metadata),
    path("tuf/targets/<path:path>", files.target),
]
