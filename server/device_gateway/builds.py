"""What a device does in its turn: ``builds/{turn}/…`` and ``checks/{turn}/…``.

A turn of another device, or of the other kind, is a 404.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from inference_core.contract.base import Message
from inference_core.contract.build import BuildOutcome
from inference_core.contract.device_build import (
    MAX_PIECE_BYTES,
    OFFSET_HEADER,
    BuildBeat,
    BuildClosing,
    BuildReason,
    PieceReply,
)
from inference_core.contract.golden import PipelineOutcome
from server.builds import services
from server.builds.checks.device_outcomes import finish_check_turn
from server.builds.checks.device_reads import lease_of_check, require_file_of_check
from server.builds.device_reads import lease_of, require_file
from server.builds.services.turns import require_lease
from server.builds.services.uploads import received_bytes
from server.builds.turn_reads import build_of, check_of, turn_of
from server.device_gateway.doors import door, for_device, read_body, require_size, require_type
from server.device_gateway.files import send_blob
from server.fleet.models import Device
from server.lib.errors import Malformed, Unavailable
from server.lib.messages import read_json

MAX_BEAT_BYTES = 256 * 1024
MAX_OUTCOME_BYTES = 2 * 1024 * 1024
PIECE_TYPE = "application/octet-stream"


@door("POST")
@for_device
def lease(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:  # noqa: ARG001 - no body
    """``POST builds/…/lease``: take the offer; 409 where it is over."""
    turn = turn_of(device, turn_id)
    reply = lease_of(turn)
    services.take_turn(turn=turn)
    return _answer(reply)


@door("POST")
@for_device
def lease_check(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:  # noqa: ARG001 - no body
    """``POST checks/…/lease``: the same for golden cases."""
    turn = turn_of(device, turn_id)
    reply = lease_of_check(turn)
    services.take_turn(turn=turn)
    return _answer(reply)


@door("POST")
@for_device
def decline(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:
    """``POST decline``: the sentence is shown with the build, or with the release."""
    message = read_json(BuildReason, read_body(request, max_bytes=MAX_BEAT_BYTES))
    services.decline_turn(turn=turn_of(device, turn_id), reason=message.reason)
    return HttpResponse(status=204)


@door("POST")
@for_device
def give_back(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:
    """``POST return``: another attempt, elsewhere where there is another device."""
    message = read_json(BuildReason, read_body(request, max_bytes=MAX_BEAT_BYTES))
    services.return_turn(turn=turn_of(device, turn_id), reason=message.reason)
    return HttpResponse(status=204)


@door("GET", "HEAD")
@for_device
def file(request: HttpRequest, device: Device, turn_id: int, sha256: str) -> HttpResponseBase:
    """``GET builds/…/files/{sha256}``: whole or one range, only what it needs, while leased."""
    turn = turn_of(device, turn_id)
    build = build_of(turn)
    require_lease(turn)
    require_file(build, sha256)
    return send_blob(request, sha256)


@door("GET", "HEAD")
@for_device
def file_of_check(
    request: HttpRequest, device: Device, turn_id: int, sha256: str
) -> HttpResponseBase:
    """``GET checks/…/files/{sha256}``: the same for golden cases."""
    turn = turn_of(device, turn_id)
    check = check_of(turn)
    require_lease(turn)
    require_file_of_check(check, sha256)
    return send_blob(request, sha256)


@door("POST")
@for_device
def progress(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:
    """``POST progress``: keeps the lease; 409 where it is lost."""
    beat = read_json(BuildBeat, read_body(request, max_bytes=MAX_BEAT_BYTES))
    turn = turn_of(device, turn_id)
    services.continue_turn(turn=turn, beat=beat)
    return HttpResponse(status=204)


@door("GET", "PATCH")
@for_device
def artifact(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:
    """``artifact``: GET says where to go on, PATCH appends a piece and keeps the lease."""
    turn = turn_of(device, turn_id)
    build_of(turn)
    if request.method == "GET":
        return _answer(PieceReply(received=received_bytes(turn)))
    start, content = _read_piece(request)
    services.continue_turn(turn=turn)
    return _answer(PieceReply(received=services.add_piece(turn=turn, start=start, content=content)))


@door("POST")
@for_device
def outcome(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:
    """``POST builds/…/outcome``: 422 where artifact or certificate are not of this build."""
    said = read_json(BuildOutcome, read_body(request, max_bytes=MAX_OUTCOME_BYTES))
    build = services.finish_build_turn(turn=turn_of(device, turn_id), outcome=said)
    return _answer(BuildClosing(state=build.state, reason=build.reason))


@door("POST")
@for_device
def outcome_of_check(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:
    """``POST checks/…/outcome``: 422 where it is not of what the lease named."""
    said = read_json(PipelineOutcome, read_body(request, max_bytes=MAX_OUTCOME_BYTES))
    check = finish_check_turn(turn=turn_of(device, turn_id), outcome=said)
    return _answer(BuildClosing(state=check.state, reason=check.reason))


def _read_piece(request: HttpRequest) -> tuple[int, bytes]:
    require_type(request, PIECE_TYPE)
    declared = require_size(request, max_bytes=MAX_PIECE_BYTES)
    try:
        start = int(request.headers.get(OFFSET_HEADER, ""))
    except ValueError:
        raise Malformed(f"Send {OFFSET_HEADER}: how many bytes lie before this piece.") from None
    content = request.body
    if len(content) != declared or not content:
        raise Unavailable("The piece arrived cut short, or empty; send it again.")
    return start, content


def _answer(reply: Message) -> HttpResponse:
    headers = {"Cache-Control": "no-store"}
    return HttpResponse(reply.to_json(), content_type="application/json", headers=headers)
