"""Django's entry of this app."""

from django.apps import AppConfig


class DatasetsConfig(AppConfig):
    """Named so that Django finds it."""

    name = "server.datasets"
