"""Django's entry of this app."""

from django.apps import AppConfig


class ReviewConfig(AppConfig):
    """Named so that Django finds it."""

    name = "server.review"
