"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from server.telemetry.api import DeviceEventsView, FiguresView
from server.telemetry.logs_api import DeviceLogsView, LogBundleView

urlpatterns: list[URLPattern | URLResolver] = [
    path("devices/<uuid:device_id>/figures", FiguresView.as_view()),
    path("devices/<uuid:device_id>/events", DeviceEventsView.as_view()),
    path("devices/<uuid:device_id>/logs", DeviceLogsView.as_view()),
    path("logs/<uuid:request_id>/bundle", LogBundleView.as_view(), name="log-bundle"),
]
