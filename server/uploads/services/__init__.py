"""The only writers of uploads."""

from server.uploads.services.finishing import inspect_upload
from server.uploads.services.opening import open_upload, withdraw_upload
from server.uploads.services.receiving import append_bytes
from server.uploads.services.sweeping import sweep_uploads

__all__ = ["append_bytes", "inspect_upload", "open_upload", "sweep_uploads", "withdraw_upload"]
