"""Django's entry of this app."""

from django.apps import AppConfig


class ComparisonsConfig(AppConfig):
    """Named so that Django finds it."""

    name = "server.comparisons"
