"""Addresses of the dashboard."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from fleet_ui.pages import (
    builds,
    comparisons,
    devices,
    models,
    overview,
    releases,
    rollouts,
    samples,
    sign_in,
    uploads,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", overview.overview, name="overview"),
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("devices/", devices.devices, name="devices"),
    path("devices/<uuid:device_id>/", devices.device, name="device"),
    path("devices/<uuid:device_id>/accept/", devices.accept, name="accept-device"),
    path("devices/<uuid:device_id>/logs/", devices.ask_logs, name="ask-logs"),
    path("samples/<int:sample_id>/image", samples.sample_image, name="sample-image"),
    path("models/", models.models, name="models"),
    path("models/<str:name>/", models.model, name="model"),
    path("models/<str:name>/upload/", uploads.upload, name="upload-version"),
    path("builds/", builds.builds, name="builds"),
    path("builds/<int:build_id>/", builds.build, name="build"),
    path("compare/", comparisons.comparisons, name="comparisons"),
    path("compare/<int:comparison_id>/", comparisons.comparison, name="comparison"),
    path(
        "compare/<int:comparison_id>/pictures/<int:picture_id>",
        comparisons.picture,
        name="compared-picture",
    ),
    path("releases/", releases.releases, name="releases"),
    path("releases/<str:name>/", releases.release, name="release"),
    path("rollouts/", rollouts.rollouts, name="rollouts"),
    path("rollouts/<uuid:rollout_id>/", rollouts.rollout, name="rollout"),
    path("rollouts/<uuid:rollout_id>/<slug:act>/", rollouts.act, name="act-on-rollout"),
]
