"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from server.fleet import api, device_api, profile_api

_DEVICE = "devices/<uuid:device_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("sites", api.SitesView.as_view()),
    path("lines", api.LinesView.as_view()),
    path("lines/<str:site>/<str:name>", api.LineView.as_view()),
    path("groups", api.GroupsView.as_view()),
    path("groups/<str:name>", api.GroupView.as_view()),
    path("groups/<str:name>/devices", api.GroupDevicesView.as_view()),
    path("groups/<str:name>/devices/<uuid:device_id>", api.GroupDeviceView.as_view()),
    path("agent-releases", api.AgentReleasesView.as_view()),
    path("hardware-profiles", profile_api.ProfilesView.as_view()),
    path("hardware-profiles/<str:name>", profile_api.ProfileView.as_view()),
    path("profile-proposals", profile_api.ProposalsView.as_view()),
    path("profile-proposals/<str:name>/accept", profile_api.AcceptProposalView.as_view()),
    path("profile-proposals/<str:name>/dismiss", profile_api.DismissProposalView.as_view()),
    path("enrolment-tokens", api.EnrolmentTokensView.as_view()),
    path("devices", device_api.DevicesView.as_view()),
    path(_DEVICE, device_api.DeviceView.as_view()),
    path(f"{_DEVICE}/profile", profile_api.DeviceProfileView.as_view()),
    path(f"{_DEVICE}/accept", device_api.AcceptView.as_view()),
    path(f"{_DEVICE}/quarantine", device_api.QuarantineView.as_view()),
    path(f"{_DEVICE}/release", device_api.ReleaseView.as_view()),
    path(f"{_DEVICE}/revoke", device_api.RevokeView.as_view()),
]
