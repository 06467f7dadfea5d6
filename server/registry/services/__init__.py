"""The only writers of models, aliases and releases."""

from server.registry.services.aliases import move_alias
from server.registry.services.imports import request_import
from server.registry.services.limits import set_limits
from server.registry.services.models import create_model, upload_version
from server.registry.services.releases import create_release

__all__ = [
    "create_model",
    "create_release",
    "move_alias",
    "request_import",
    "set_limits",
    "upload_version",
]
