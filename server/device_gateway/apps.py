"""Django's entry of this app."""

from django.apps import AppConfig


class DeviceGatewayConfig(AppConfig):
    """Named so that Django finds it."""

    name = "server.device_gateway"
