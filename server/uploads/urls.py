"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import path

from server.uploads import api

urlpatterns = [
    path("uploads", api.UploadList.as_view(), name="uploads"),
    path("uploads/<uuid:upload_id>", api.UploadDetail.as_view(), name="upload"),
]
