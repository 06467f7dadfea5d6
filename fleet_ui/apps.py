"""Django's entry of the dashboard."""

from django.apps import AppConfig


class FleetUiConfig(AppConfig):
    """Named so that Django finds it."""

    name = "fleet_ui"
