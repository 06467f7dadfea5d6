"""Addresses of sinks: what they say, and the secrets that they must not say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from inference_core.contract.addresses import INSTEAD, check_gone
from inference_core.errors import BadInput
from inference_core.pipeline.sinks.folders import find_secret_file, read_secret


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
        if unknown := sorted(set(self.options) - set(names) - {"secret"}):
            known = ", ".join(sorted({*names, "secret"}))
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
        """What the file ``secret=NAME`` holds; None where there is no such option."""
        name = self.options.get("secret")
        if name is None:
            return None
        with self.naming_itself():
            return read_secret(name)

    def find_file(self, option: str) -> str | None:
        """Path of the file for TLS that an option names; None where there is no such option."""
        name = self.options.get(option)
        if name is None:
            return None
        with self.naming_itself():
            return str(find_secret_file(option, name))

    @contextmanager
    def naming_itself(self) -> Iterator[None]:
        """What is wrong with the address is told with the address, as far as that may be shown."""
        try:
            yield
        except ValueError as error:
            raise BadInput(f"{self.shown}: {error}") from error

    def without(self, *names: str) -> str:
        """The rest of the query, without these options and the name of the secret."""
        hidden = {*names, "secret"}
        left = {key: value for key, value in self.options.items() if key not in hidden}
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
        raise BadInput(f"the sink {scheme}://… has a password in it: {INSTEAD}")
    if parts.fragment:
        raise BadInput(f"the sink {scheme}://… has a # in it: write %23 where one is meant")
    bracketed = f"[{host}]" if ":" in host else host
    place = bracketed if port is None else f"{bracketed}:{port}"
    address = Address(
        scheme=parts.scheme,
        host=host,
        port=port,
        path=unquote(parts.path),
        user=None if parts.username is None else unquote(parts.username),
        options=dict(parse_qsl(parts.query, keep_blank_values=True)),
        shown=f"{parts.scheme}://{place}{parts.path}",
    )
    with address.naming_itself():
        check_gone(address.options)
    return address
