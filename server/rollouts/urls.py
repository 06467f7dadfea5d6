"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from server.rollouts import api, shadow_api

urlpatterns: list[URLPattern | URLResolver] = [
    path("rollouts", api.RolloutList.as_view(), name="rollouts"),
    path("rollouts/<uuid:rollout_id>", api.RolloutDetail.as_view(), name="rollout"),
    path("devices/<uuid:device_id>/goal", api.DeviceGoal.as_view(), name="device-goal"),
    path("shadow-runs", shadow_api.ShadowRunsView.as_view(), name="shadow-runs"),
    path("shadow-runs/<uuid:run_id>", shadow_api.ShadowRunView.as_view(), name="shadow-run"),
    path("shadow-runs/<uuid:run_id>/stop", shadow_api.StopShadowRun.as_view(), name="stop-shadow"),
    *[
        path(f"rollouts/<uuid:rollout_id>/{act}", view.as_view(), name=f"rollout-{act}")
        for act, view in api.ACTS.items()
    ],
]
