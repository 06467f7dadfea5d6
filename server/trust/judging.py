"""The judge of a ceremony: what TUF demands of new metadata. No row, file, clock or network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization.json import JSONSerializer

from server.lib.errors import Conflict, Invalid
from server.trust.repository import COSIGNED

Documents = dict[str, Metadata[Any]]
"""Metadata by role: ``root``, ``targets``, or releases that a person signs as well."""


@dataclass(frozen=True)
class Count:
    """Signatures that one keeper of ``role`` wants: ``by`` is the root before, or the one after."""

    role: str
    by: str
    signed: Mapping[str, Key]
    unsigned: Mapping[str, Key]
    threshold: int

    @property
    def is_met(self) -> bool:
        """Whether enough of them have signed."""
        return len(self.signed) >= self.threshold

    @property
    def missing(self) -> int:
        """How many more it takes."""
        return max(0, self.threshold - len(self.signed))


def parse(documents: Mapping[str, Any]) -> Documents:
    """Metadata from JSON values; Invalid for what is none, or of another role than it says."""
    return {role: _parsed(role, body) for role, body in documents.items()}


def to_json(documents: Documents) -> dict[str, Any]:
    """The inverse."""
    return {role: metadata.to_dict() for role, metadata in documents.items()}


def to_bytes(metadata: Metadata[Any], counts: list[Count], role: str) -> bytes:
    """Metadata as it is served: with the signatures that count, and no others."""
    good = {keyid for count in counts if count.role == role for keyid in count.signed}
    for keyid in set(metadata.signatures) - good:
        del metadata.signatures[keyid]
    return metadata.to_bytes(JSONSerializer(compact=True))


def count_signatures(documents: Documents, current: Documents) -> list[Count]:
    """For every document who has signed it and who has not, by every keeper that must agree."""
    return [count for role in documents for count in _counts(role, documents, current)]


def check_versions(documents: Documents, current: Documents) -> None:
    """Conflict unless each document is the version after the one that is served."""
    for role, metadata in documents.items():
        last = current[role].signed.version if role in current else 0
        if metadata.signed.version != last + 1:
            raise Conflict(
                f"Version {metadata.signed.version} of {role} was to be signed, but version {last} "
                "is served by now: export the request anew."
            )


def check_form(documents: Documents) -> None:
    """Invalid for metadata that no device could follow, or that would undo a protection."""
    if not documents:
        raise Invalid("There is nothing to sign in this file.")
    root = documents.get("root")
    if root is None:
        return
    if not root.signed.consistent_snapshot:
        raise Invalid("The root gives up consistent snapshots, which devices depend on.")
    for role, found in root.signed.roles.items():
        if not 0 < found.threshold <= len(found.keyids):
            raise Invalid(
                f"{role} asks for {found.threshold} signatures of {len(found.keyids)} keys."
            )


def walk_roots(roots: list[Metadata[Root]], trusted: Metadata[Root]) -> Metadata[Root]:
    """The last of ``roots``, reached from ``trusted`` as a device does; Invalid where it breaks."""
    last = trusted
    for root in roots:
        if root.signed.version == trusted.signed.version:
            if root.signed_bytes != trusted.signed_bytes:
                raise Invalid("The file tells another history than the root that is trusted here.")
            last = root  # perhaps with more signatures than it had when it was trusted
        if root.signed.version <= trusted.signed.version:
            continue
        if root.signed.version != last.signed.version + 1:
            raise Invalid(f"The file leaves out the root after version {last.signed.version}.")
        _verify(last, "root", root)
        _verify(root, "root", root)
        last = root
    return last


def verify_current(current: Documents) -> None:
    """Invalid unless what is said to be served is signed as the root demands."""
    root = current.get("root")
    if root is None:
        return
    _verify(root, "root", root)
    if "targets" in current:
        _verify(root, "targets", current["targets"])
    for role in current:
        if role.startswith(COSIGNED):
            _verify_releases(current["targets"], role, current[role])


def _counts(role: str, documents: Documents, current: Documents) -> Iterator[Count]:
    old_root, root = current.get("root"), documents.get("root") or current.get("root")
    if role == "root":
        keepers = [("the root before", old_root), ("the new root", documents["root"])]
    elif role == "targets":
        keepers = [("the root", root)]
    else:
        keepers = [("targets", documents.get("targets") or current.get("targets"))]
    document = documents[role]
    for by, keeper in keepers:
        if keeper is None:
            if role != "root":
                raise Invalid(f"Nobody says who may sign {role}.")
            continue
        try:
            result = keeper.signed.get_verification_result(
                role, document.signed_bytes, document.signatures
            )
        except ValueError:
            raise Invalid(f"Nobody may sign {role}.") from None
        yield Count(role, by, result.signed, result.unsigned, result.threshold)


def _verify(keeper: Metadata[Any], role: str, document: Metadata[Any]) -> None:
    try:
        keeper.signed.verify_delegate(role, document.signed_bytes, document.signatures)
    except (RepositoryError, ValueError) as error:
        raise Invalid(f"The file is not what the server serves: {error}") from None


def _verify_releases(targets: Metadata[Targets], role: str, document: Metadata[Targets]) -> None:
    """After new keys nothing of before counts: all of it is shown to the signer as new."""
    try:
        _verify(targets, role, document)
    except Invalid:
        document.signed.targets.clear()


def _parsed(role: str, body: Any) -> Metadata[Any]:
    try:
        metadata: Metadata[Any] = Metadata.from_dict(deepcopy(body))
    except (AttributeError, KeyError, TypeError, ValueError, RepositoryError) as error:
        raise Invalid(f"The metadata of {role} cannot be read: {error}") from None
    wanted = Root if role == "root" else Targets
    if not isinstance(metadata.signed, wanted):
        raise Invalid(f"What is called {role} is metadata of another kind.")
    if role not in {"root", "targets"} and not role.startswith(COSIGNED):
        raise Invalid(f"{role} is not signed by people.")
    return metadata
