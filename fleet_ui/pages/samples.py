"""The pictures of samples, for people who are signed in."""

from __future__ import annotations

from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET

from fleet_ui.access import page, sites_of, within
from server.lib import blobs
from server.review.models import Sample


@require_GET
@page
def sample_image(request: HttpRequest, sample_id: int) -> HttpResponseBase:
    """The JPEG of a sample in scope; it never changes, so that a browser may keep it."""
    samples = within(Sample.objects.all(), sites_of(request), "device__line__site__name")
    sample = samples.filter(pk=sample_id).first()
    if sample is None or not blobs.exists(sample.image_sha256):
        raise Http404("There is no such picture, or it is not of your sites.")
    response = FileResponse(blobs.open_blob(sample.image_sha256), content_type="image/jpeg")
    response["Cache-Control"] = "private, max-age=86400, immutable"
    return response
