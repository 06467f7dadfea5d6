"""Django's entry of this app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Named so that Django finds it."""

    name = "server.accounts"

    def ready(self) -> None:
        """Tell OpenAPI of our authentication."""
        from server.accounts import schema  # noqa: F401
