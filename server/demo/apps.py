"""Django's entry of this app."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Named so that Django finds it."""

    name = "server.demo"
