"""Addresses of cameras and sinks: what they may say, and how they are shown without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_plus, urlsplit

SINK_SCHEMES = ("jsonl", "overlay", "mqtt", "mqtts", "http", "https", "modbus", "opc.tcp")

SECRETS_VARIABLE = "LINEWARDEN_SECRETS_DIR"
DEFAULT_SECRETS_DIR = "/etc/linewarden/secrets"
OUTPUT_VARIABLE = "LINEWARDEN_OUTPUT_DIR"
"""Where on a device sinks may read and write: the inference child's environment says it."""

_START = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_NAMED_SECRET = re.compile(r"(?i)((?:pass(?:word|wd)?|pwd|token|secret|key|auth)[=:])[^&/;?#]*")
"""Some cameras take the password as a part of the path: /user=admin&password=…&channel=1."""
_QUERY_VALUE = re.compile(r"(?<==)[^&]*")

_SECRET_OPTION = re.compile(
    r"(?i)token|passw|pwd|secret|credential|signature|(?:api|access)[-_.]?key"
    r"|^(?:pass|key|sig|auth|authorization|jwt)$"
)
_GONE = {"secret_file", "secret_env"}
INSTEAD = "put it in a file of the device's folder for secrets and write secret=NAME of the file"

_NAME = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,99}")
_FILES = {"mqtt": ("ca", "cert", "key"), "http": ("ca",)}
_FILES |= {f"{scheme}s": names for scheme, names in _FILES.items()}
"""Options that name files for TLS; they lie where the secrets lie."""


def redact(address: str) -> str:
    """The address with ``***`` for user, password, and every value of its query.

    Everything before the last @ counts as user and password: people write / and @ in them.
    """
    start = _START.match(address)
    scheme = start.group() if start else ""
    _, at, rest = address[len(scheme) :].rpartition("@")
    place, mark, query = rest.partition("?")
    shown = _NAMED_SECRET.sub(r"\1***", place) + mark + _QUERY_VALUE.sub("***", query)
    return f"{scheme}{'***@' if at else ''}{shown}"


def check_sink(address: str) -> None:
    """Raises ``ValueError`` where the scheme is unknown, or the address holds a secret itself.

    The error says what to write instead and never repeats the address. Whether the receiver
    can be used is for the device to find out.
    """
    scheme = address.partition("://")[0].lower()
    if scheme not in SINK_SCHEMES:
        known = ", ".join(f"{name}://" for name in SINK_SCHEMES)
        raise ValueError(f"a sink starts with one of {known}")
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:  # its message may quote a part of a password
        raise ValueError("this is no address: look at its brackets and its port") from None
    if not address.isprintable() or parts.fragment or "@" in parts.path + parts.query:
        raise ValueError("write %23 for a #, %40 for an @ after the host, and no line breaks")
    if parts.password is not None:
        raise ValueError(f"a password is in the address: {INSTEAD}")
    if parts.username is not None and scheme in ("http", "https"):
        raise ValueError("a web hook takes no user: it is signed with secret=NAME")
    _check_options(parts.query, allowed={"secret", *_FILES.get(scheme, ())})
    _check_places(scheme, parts)


def check_name(option: str, name: str) -> str:
    """The name of a file in the device's folder for secrets, as given.

    Raises ``ValueError`` for anything that could lead out of the folder.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{option}= takes the name of a file in the device's folder for secrets: "
            "a-z, 0-9, dot, - and _, no slash and no dot first"
        )
    return name


def check_gone(options: Iterable[str]) -> None:
    """Raises ``ValueError`` for options that once let the server name any file of a device."""
    if gone := sorted(_GONE & set(options)):
        raise ValueError(f"{gone[0]}= is no longer taken: {INSTEAD}")


def split_output(path: str) -> tuple[str, ...]:
    """The parts of an unquoted ``/folder/name``, to be joined to the device's output folder.

    Raises ``ValueError`` for anything that could lead out of the folder.
    """
    parts = tuple(path.removeprefix("/").split("/"))
    if not path.isprintable() or "\\" in path or {"", ".", ".."} & set(parts):
        raise ValueError(
            "the path lies in the device's output folder: write three slashes and a name, "
            "without . and .."
        )
    return parts


def check_security(security: str) -> tuple[str, ...]:
    """The parts of OPC UA's ``Policy,Mode,cert,key[,server cert]``. Raises ``ValueError``."""
    parts = tuple(security.split(","))
    if len(parts) not in (4, 5):
        raise ValueError("security= is written Basic256Sha256,SignAndEncrypt,cert.der,key.pem")
    for name in parts[2:]:
        check_name("security", name)
    return parts


def _check_options(query: str, allowed: set[str]) -> None:
    """``key`` is the name of a file where TLS has one, and a secret elsewhere."""
    names = [unquote_plus(option.partition("=")[0]) for option in re.split("[&;]", query)]
    check_gone(names)
    if any(_SECRET_OPTION.search(name) and name not in allowed for name in names):
        raise ValueError(f"an option of the address looks like a secret: {INSTEAD}")


def _check_places(scheme: str, parts: SplitResult) -> None:
    """The device refuses the same again: it need not trust the server in this."""
    if scheme in ("jsonl", "overlay"):
        split_output(unquote(parts.path))
    for option, value in parse_qsl(parts.query, keep_blank_values=True):
        if option in ("secret", *_FILES.get(scheme, ())):
            check_name(option, value)
        if option == "security" and scheme == "opc.tcp" and value:
            check_security(value)
