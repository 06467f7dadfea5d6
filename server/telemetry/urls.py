"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from server.telemetry.api import FiguresView

urlpatterns: list[URLPattern | URLResolver] = [
    path("devices/<uuid:device_id>/figures", FiguresView.as_view()),
]
