"""Pictures out of a dataset, as they were uploaded."""

from __future__ import annotations

import mimetypes

from django.http import FileResponse, Http404

from server.lib import blobs


def picture_response(image: str, sha256: str) -> FileResponse:
    """The stored bytes, of the kind that the name says; they never change."""
    kind = mimetypes.guess_type(image)[0] or ""
    if not kind.startswith("image/"):
        raise Http404("There is no such picture.")
    response = FileResponse(blobs.open_blob(sha256), content_type=kind)
    response["Cache-Control"] = "private, max-age=86400, immutable"
    return response
