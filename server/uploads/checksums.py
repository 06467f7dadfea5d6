"""Checksums of single requests, as the tus extension has them."""

from __future__ import annotations

import base64
import binascii
import hashlib

from server.lib.errors import DomainError, Malformed

ALGORITHMS = ("sha1", "sha256")
"""The protocol demands SHA-1; against damage on the way it is enough."""


class ChecksumDiffers(DomainError):
    """The bytes are not those that the client meant; none of them were kept. Send them again."""

    status = 460  # the protocol's own
    code = "checksum_differs"


class Checksum:
    """What a body must come to."""

    def __init__(self, header: str) -> None:
        """From ``algorithm base64``; raises Malformed."""
        algorithm, _, value = header.strip().partition(" ")
        if algorithm not in ALGORITHMS:
            raise Malformed(
                f"Upload-Checksum has an algorithm that is not known; there are: "
                f"{', '.join(ALGORITHMS)}."
            )
        try:
            self._expected = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise Malformed("The digest in Upload-Checksum is not base64.") from None
        self._digest = hashlib.new(algorithm, usedforsecurity=False)

    def update(self, content: bytes) -> None:
        """Take the next bytes."""
        self._digest.update(content)

    def require(self) -> None:
        """Raise ChecksumDiffers where the bytes are others."""
        if self._digest.digest() != self._expected:
            raise ChecksumDiffers("The bytes came damaged or cut; send them again.")
