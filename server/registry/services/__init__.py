"""The only writers of models and releases."""

from server.registry.services.models import create_model, upload_version
from server.registry.services.releases import create_release

__all__ = ["create_model", "create_release", "upload_version"]
