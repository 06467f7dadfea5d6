"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import path

from server.trust import api

urlpatterns = [path("trust", api.Trust.as_view(), name="trust")]
