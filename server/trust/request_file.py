"""The file that travels between the server and those who sign. No Django, no network.

It holds all that a keyholder's machine needs to judge: every root, what is served now, and what is
to be signed. What the server says of it in words is not in there, because nobody should believe it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tuf.api.metadata import Metadata, Root

from server.lib.errors import Invalid, TooLarge
from server.trust import judging
from server.trust.judging import Documents

MAX_BYTES = 32 * 1024 * 1024


class RequestFile(BaseModel):
    """``roots`` from the first to the newest; ``current`` and ``proposed`` by role."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["linewarden signing request"] = "linewarden signing request"
    format: Literal[1] = 1
    request: int = Field(ge=0)
    roots: list[dict[str, Any]] = Field(max_length=1000)
    current: dict[str, dict[str, Any]] = Field(max_length=3)
    proposed: dict[str, dict[str, Any]] = Field(max_length=3)

    @property
    def documents(self) -> Documents:
        """What is to be signed."""
        return judging.parse(self.proposed)

    def judge(self, pinned: Metadata[Root] | None) -> Documents:
        """What is served now, verified from ``pinned`` on; Invalid where the file contradicts it.

        Without a pin the first root of the file is believed: then people compare fingerprints.
        """
        roots = [judging.parse({"root": body})["root"] for body in self.roots]
        current = judging.parse(self.current)
        documents = self.documents
        if roots:
            current["root"] = judging.walk_roots(roots, pinned or roots[0])
        elif pinned is not None:
            raise Invalid("The file begins a new root, but this key has signed for one before.")
        judging.verify_current(current)
        judging.check_form(documents)
        judging.check_versions(documents, current)
        return current

    def with_documents(self, documents: Documents) -> RequestFile:
        """The same request with other signatures."""
        return self.model_copy(update={"proposed": judging.to_json(documents)})


def read_request(path: Path) -> RequestFile:
    """The request in a file; Invalid or TooLarge for what is none, OSError if absent."""
    if path.stat().st_size > MAX_BYTES:
        raise TooLarge(f"A signing request has at most {MAX_BYTES} bytes.")
    return parse_request(path.read_bytes())


def parse_request(content: bytes) -> RequestFile:
    """The request in ``content``."""
    try:
        return RequestFile.model_validate_json(content)
    except ValidationError as error:
        raise Invalid(f"This is no signing request: {error.errors()[0]['msg']}.") from None


def write_request(path: Path, request: RequestFile) -> None:
    """Write it whole or not at all: a stick may be pulled out."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(request.model_dump(), indent=1) + "\n")
    partial.replace(path)
