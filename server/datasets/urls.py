"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import path

from server.datasets import api

urlpatterns = [
    path("datasets", api.DatasetList.as_view(), name="datasets"),
    path("datasets/<str:name>/<str:version>", api.DatasetDetail.as_view(), name="dataset"),
]
