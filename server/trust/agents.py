"""The agent's own code is published: a wheel is judged, signed and written down."""

from __future__ import annotations

import re
from email.message import Message as Headers
from email.parser import HeaderParser
from pathlib import Path
from typing import IO

from django.db import IntegrityError, transaction
from pydantic import ValidationError

from inference_core.contract.device import AgentRef
from inference_core.contract.release import ANY_PROFILE, TargetCustom, TargetRef, agent_path
from server.datasets.archive import Archive, open_archive
from server.fleet.agents import next_counter, record_agent_release
from server.fleet.models import AgentRelease
from server.lib import blobs
from server.lib.errors import Conflict, Invalid, TooLarge
from server.trust.repository import TargetToSign
from server.trust.services import ensure_profile_role, publish_targets

MAX_WHEEL_BYTES = 32 * 1024 * 1024
MAX_UNPACKED_BYTES = 128 * 1024 * 1024
"""The agent's own bounds: what is larger, it would refuse."""
_MAX_TEXT_BYTES = 1024 * 1024
_PACKAGES = ("device_agent", "inference_core")
_ABOUT = re.compile(r"linewarden-(?P<version>[^/]+)\.dist-info/WHEEL")


def publish_agent(*, wheel: Path, actor: str) -> AgentRelease:
    """Sign the agent in ``wheel`` under the next counter; the same wheel again changes nothing.

    Raises Invalid or TooLarge for what is no pure Python wheel of this project, Conflict for a
    version that is published with other bytes, Unavailable where the key is not on this machine.
    """
    if wheel.stat().st_size > MAX_WHEEL_BYTES:
        raise TooLarge(f"An agent's wheel has at most {MAX_WHEEL_BYTES} bytes.")
    with wheel.open("rb") as file:
        version = judge_wheel(file)
        file.seek(0)
        blob = blobs.put(iter(lambda: file.read(blobs.CHUNK_BYTES), b""), max_bytes=MAX_WHEEL_BYTES)
    known = AgentRelease.objects.filter(version=version).first()
    if known is not None:
        if known.sha256 != blob.sha256:
            raise Conflict(f"The agent {version} is published with other bytes; raise its version.")
        return known
    # Outside the transaction: a role that waits for its signature is asked for all the same.
    ensure_profile_role(ANY_PROFILE)
    try:
        return _sign(version, blob, actor)
    except IntegrityError:
        raise Conflict("Another agent was published at the same moment; publish again.") from None


@transaction.atomic
def _sign(version: str, blob: blobs.Blob, actor: str) -> AgentRelease:
    """Of two at once the second finds the counter taken, and what it signed is undone."""
    counter, path = next_counter(), agent_path(version)
    custom = TargetCustom(kind="agent", profile=ANY_PROFILE, counter=counter)
    publish_targets(ANY_PROFILE, [TargetToSign(path, blob.sha256, blob.length, custom)])
    return record_agent_release(
        version=version,
        counter=counter,
        path=path,
        sha256=blob.sha256,
        length=blob.length,
        actor=actor,
    )


def judge_wheel(file: IO[bytes]) -> str:
    """The version of the agent in ``file``; Invalid where it is no pure wheel of this project."""
    archive = open_archive(file, max_bytes=MAX_UNPACKED_BYTES)
    found = [match["version"] for name in archive.names if (match := _ABOUT.fullmatch(name))]
    if len(found) != 1:
        raise Invalid("The file is no wheel of linewarden.")
    (version,) = found
    _require_version(version)
    folder = f"linewarden-{version}.dist-info"
    for name in sorted(archive.names):
        if name.split("/")[0] not in (*_PACKAGES, folder):
            raise Invalid(f"The wheel holds {name!r}, which has no place in an agent.")
    about, told = (_headers(archive, f"{folder}/{name}") for name in ("WHEEL", "METADATA"))
    if about["Root-Is-Purelib"] != "true" or about.get_all("Tag") != ["py3-none-any"]:
        raise Invalid("The wheel is not pure Python for every machine.")
    if (told["Name"], told["Version"]) != ("linewarden", version):
        raise Invalid(f"The wheel says that it is {told['Name']} {told['Version']}.")
    if "device_agent/__main__.py" not in archive.names:
        raise Invalid("The wheel holds no agent.")
    return version


def _require_version(version: str) -> None:
    """What a goal can carry, so that nothing is signed which no device could be told of."""
    try:
        target = TargetRef(path=agent_path(version), sha256="0" * 64, length=0)
        AgentRef(target=target, version=version)
    except ValidationError:
        raise Invalid(f"{version!r} is no version of an agent, such as 1.4.0.") from None


def _headers(archive: Archive, name: str) -> Headers:
    if name not in archive.names:
        raise Invalid(f"The wheel lacks {name}.")
    if archive.length(name) > _MAX_TEXT_BYTES:
        raise TooLarge(f"{name} is larger than {_MAX_TEXT_BYTES} bytes.")
    try:
        return HeaderParser().parsestr(b"".join(archive.chunks(name)).decode())
    except UnicodeDecodeError:
        raise Invalid(f"{name} is no text.") from None
