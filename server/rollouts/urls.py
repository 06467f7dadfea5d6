"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from server.rollouts import api

urlpatterns: list[URLPattern | URLResolver] = [
    path("rollouts", api.RolloutList.as_view(), name="rollouts"),
    path("rollouts/<uuid:rollout_id>", api.RolloutDetail.as_view(), name="rollout"),
    path("devices/<uuid:device_id>/goal", api.DeviceGoal.as_view(), name="device-goal"),
    *[
        path(f"rollouts/<uuid:rollout_id>/{act}", view.as_view(), name=f"rollout-{act}")
        for act, view in api.ACTS.items()
    ],
]
