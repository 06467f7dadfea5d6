"""An artifact on its way from a device: pieces in order, any replica, joined at the end.

Pieces lie in the storage and not on a disk, because the next one may reach another host.
"""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Sum

from inference_core.contract.release import MAX_ARTIFACT_BYTES
from server.builds.models import BuildTurn, UploadedPiece
from server.builds.states import TurnState
from server.lib import blobs
from server.lib.errors import Conflict, TooLarge


def received_bytes(turn: BuildTurn) -> int:
    """How much of the artifact is here, from its first byte on."""
    total: int | None = turn.pieces.aggregate(total=Sum("length"))["total"]
    return total or 0


@transaction.atomic
def add_piece(*, turn: BuildTurn, start: int, content: bytes) -> int:
    """Store the next piece; bytes that are here now.

    Conflict, with ``received``, where it does not follow what is here; TooLarge past what an
    artifact may have.
    """
    locked = BuildTurn.objects.select_for_update().get(pk=turn.pk)
    received = received_bytes(locked)
    if locked.state != TurnState.LEASED:
        raise Conflict("This turn is over; nothing is taken for it.")
    if start != received:
        raise Conflict(f"The next byte is {received}, not {start}.", received=received)
    if received + len(content) > MAX_ARTIFACT_BYTES:
        raise TooLarge("No artifact may be this large.", max_bytes=MAX_ARTIFACT_BYTES)
    piece = UploadedPiece.objects.create(turn=locked, start=start, length=len(content))
    default_storage.delete(piece.name)  # of a request that died between storage and commit
    default_storage.save(piece.name, File(io.BytesIO(content)))
    return received + len(content)


def join_pieces(turn: BuildTurn, path: Path) -> None:
    """Write what has come as one file."""
    with path.open("xb") as file:
        for piece in turn.pieces.all():
            with default_storage.open(piece.name, "rb") as stored:
                while chunk := stored.read(blobs.CHUNK_BYTES):
                    file.write(chunk)


def drop_pieces(turn: BuildTurn) -> None:
    """Forget what has come; the bytes go when that is committed."""
    names = [piece.name for piece in turn.pieces.all()]
    turn.pieces.all().delete()
    for name in names:
        transaction.on_commit(partial(default_storage.delete, name))
