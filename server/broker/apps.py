"""Django's entry of this app."""

from django.apps import AppConfig


class BrokerConfig(AppConfig):
    """Named so that Django finds it; ``broker`` alone would be anybody's."""

    name = "server.broker"
    label = "push_broker"
