"""Django's entry of this app."""

from django.apps import AppConfig


class UploadsConfig(AppConfig):
    """Named so that Django finds it."""

    name = "server.uploads"
