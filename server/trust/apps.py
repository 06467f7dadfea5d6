"""Django's entry of this app."""

from django.apps import AppConfig


class TrustConfig(AppConfig):
    """Named so that Django finds it."""

    name = "server.trust"
