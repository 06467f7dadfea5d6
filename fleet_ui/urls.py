"""Addresses of the dashboard."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from fleet_ui.pages import (
    builds,
    comparisons,
    device_builds,
    devices,
    imports,
    models,
    overview,
    profiles,
    releases,
    rollouts,
    samples,
    sign_in,
    trust,
    uploads,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", overview.overview, name="overview"),
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("devices/", devices.devices, name="devices"),
    path("devices/<uuid:device_id>/", devices.device, name="device"),
    path("devices/<uuid:device_id>/accept/", devices.accept, name="accept-device"),
    path("devices/<uuid:device_id>/profile/", devices.assign_profile, name="assign-profile"),
    path("devices/<uuid:device_id>/logs/", devices.ask_logs, name="ask-logs"),
    path("samples/<int:sample_id>/image", samples.sample_image, name="sample-image"),
    path("profiles/", profiles.profiles, name="profiles"),
    path("profiles/<str:name>/accept/", profiles.accept, name="accept-profile"),
    path("profiles/<str:name>/dismiss/", profiles.dismiss, name="dismiss-profile"),
    path("models/", models.models, name="models"),
    path("models/<str:name>/", models.model, name="model"),
    path("models/<str:name>/upload/", uploads.upload, name="upload-version"),
    path("models/<str:name>/aliases/", models.move_alias, name="move-alias"),
    path("models/<str:name>/imports/", imports.ask_import, name="ask-import"),
    path("builds/", builds.builds, name="builds"),
    path("builds/<int:build_id>/", builds.build, name="build"),
    path("builds/<int:build_id>/cancel/", builds.cancel, name="cancel-build-page"),
    path("builds/<int:build_id>/repeat/", builds.repeat, name="repeat-build"),
    path("builds/<int:build_id>/approve/", device_builds.approve, name="approve-artifact"),
    path("builds/<int:build_id>/reject/", device_builds.reject, name="reject-artifact"),
    path("compare/", comparisons.comparisons, name="comparisons"),
    path("compare/<int:comparison_id>/", comparisons.comparison, name="comparison"),
    path(
        "compare/<int:comparison_id>/pictures/<int:picture_id>",
        comparisons.picture,
        name="compared-picture",
    ),
    path("releases/", releases.releases, name="releases"),
    path("releases/<str:name>/", releases.release, name="release"),
    path("trust/", trust.trust, name="trust"),
    path("releases/<str:name>/judge/", releases.judge, name="judge-release"),
    path("releases/<str:name>/approve/", releases.approve, name="approve-release"),
    path("releases/<str:name>/waive/", releases.waive, name="waive-release"),
    path("rollouts/", rollouts.rollouts, name="rollouts"),
    path("rollouts/<uuid:rollout_id>/", rollouts.rollout, name="rollout"),
    path("rollouts/<uuid:rollout_id>/<slug:act>/", rollouts.act, name="act-on-rollout"),
]
