"""Addresses of sinks: what they say, and where the secrets lie that they must not say."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from inference_core.errors import BadInput

_MAX_SECRET_BYTES = 4096
_SECRETS = {"secret_file", "secret_env"}


@dataclass(frozen=True)
class Address:
    """An address in its parts. ``shown`` is fit for logs: no user, no query."""

    scheme: str
    host: str
    port: int | None
    path: str
    user: str | None
    options: dict[str, str]
    shown: str

    def expect(self, *names: str) -> None:
        """Raises ``BadInput`` for an option that the sink does not know."""
        if unknown := sorted(set(self.options) - set(names) - _SECRETS):
            known = ", ".join(sorted({*names, *_SECRETS}))
            raise BadInput(f"{self.shown}: there is no option {unknown[0]!r}; there are {known}")

    def whole(self, name: str, default: int, lowest: int, highest: int) -> int:
        """An option that is a whole number."""
        return int(self.number(name, default, lowest, highest, whole=True))

    def number(
        self, name: str, default: float, lowest: float, highest: float, *, whole: bool = False
    ) -> float:
        """An option that is a number within limits."""
        try:
            value = (int if whole else float)(self.options.get(name, default))
        except ValueError:
            value = float("nan")
        if not lowest <= value <= highest:
            raise BadInput(f"{self.shown}: {name} is a number from {lowest} to {highest}")
        return value

    def read_secret(self) -> str | None:
        """What ``secret_file`` or the environment variable ``secret_env`` holds; None: neither."""
        if name := self.options.get("secret_env"):
            if not os.environ.get(name):
                raise BadInput(f"{self.shown}: the environment has no {name}")
            return os.environ[name]
        if path := self.options.get("secret_file"):
            return _read_secret(Path(path), self.shown)
        return None

    def without(self, *names: str) -> str:
        """The rest of the query, without these options and the secrets."""
        left = {key: value for key, value in self.options.items() if key not in {*names, *_SECRETS}}
        return urlencode(left)


def parse_address(text: str) -> Address:
    """The parts of ``scheme://[user@]host[:port]/path?option=value``. Raises ``BadInput``.

    The error never repeats what may be a secret.
    """
    scheme = text.partition("://")[0][:20]
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # its message may quote a part of a password
        raise BadInput(
            f"the sink {scheme}://… is no address: look at its brackets and its port"
        ) from None
    if parts.password is not None:
        raise BadInput(
            f"the sink {scheme}://… has a password in it: "
            "put it in a file and write secret_file=/path, or secret_env=NAME"
        )
    if parts.fragment:
        raise BadInput(f"the sink {scheme}://… has a # in it: write %23 where one is meant")
    bracketed = f"[{host}]" if ":" in host else host
    place = bracketed if port is None else f"{bracketed}:{port}"
    return Address(
        scheme=parts.scheme,
        host=host,
        port=port,
        path=unquote(parts.path),
        user=None if parts.username is None else unquote(parts.username),
        options=dict(parse_qsl(parts.query, keep_blank_values=True)),
        shown=f"{parts.scheme}://{place}{parts.path}",
    )


def _read_secret(path: Path, shown: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SECRET_BYTES + 1)
        secret = data.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{shown}: the secret file cannot be read: {error}") from error
    if not secret or len(data) > _MAX_SECRET_BYTES:
        raise BadInput(f"{shown}: the secret file is empty or over {_MAX_SECRET_BYTES} bytes")
    return secret
