"""Django's entry of this app."""

from django.apps import AppConfig


class DeviceGatewayConfig(AppConfig):
    """Named so that Django finds it."""

    name = "server.device_gateway"

    def ready(self) -> None:
        """Register what the outbox may call."""
        from server.device_gateway import handlers  # noqa: F401
