"""The doors: the API for people and tools, the door for devices, and the dashboard."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

_DOCS = SpectacularSwaggerSplitView.as_view(url_name="openapi")

API_APPS = (
    "accounts",
    "fleet",
    "datasets",
    "registry",
    "trust",
    "uploads",
    "builds",
    "comparisons",
    "telemetry",
    "review",
    "rollouts",
)

urlpatterns = [
    *[path("api/v1/", include(f"server.{app}.urls")) for app in API_APPS],
    path("api/schema/", SpectacularAPIView.as_view(), name="openapi"),
    path("api/docs/", login_required(_DOCS), name="api-docs"),
    path("device/v1/", include("server.device_gateway.urls")),
    path("", include("fleet_ui.urls")),
]

handler400 = "server.config.handlers.bad_request"
handler404 = "server.config.handlers.not_found"
handler500 = "server.config.handlers.server_error"
