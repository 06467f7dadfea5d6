"""Django's entry of this app."""

from django.apps import AppConfig


class LibConfig(AppConfig):
    """Named so that Django finds it."""

    name = "server.lib"
