"""Protocol Buffers' text format, as much of it as a configuration needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True)
class Symbol:
    """The name of an enum's value, which stands without quotes."""

    name: str


Scalar = Union[str, int, bool, Symbol]
Value = Union[Scalar, Mapping[str, "Value"], Sequence["Value"]]
Message = Mapping[str, Value]


def render(message: Message, indent: str = "") -> str:
    """A message by the names of its fields; a list is a repeated field, an empty one is absent."""
    return "".join(_render_field(name, value, indent) for name, value in message.items())


def _render_field(name: str, value: Value, indent: str) -> str:
    if isinstance(value, Mapping):
        inside = render(value, f"{indent}  ")
        return f"{indent}{name} {{\n{inside}{indent}}}\n" if inside else f"{indent}{name} {{}}\n"
    if isinstance(value, Sequence) and not isinstance(value, str):
        if value and all(isinstance(each, int) for each in value):
            return f"{indent}{name}: [{', '.join(str(each) for each in value)}]\n"
        return "".join(_render_field(name, each, indent) for each in value)
    return f"{indent}{name}: {_render_scalar(value)}\n"


def _render_scalar(value: Scalar) -> str:
    if isinstance(value, Symbol):
        return value.name
    if isinstance(value, bool):
        return "true" if value else "false"
    return _quote(value) if isinstance(value, str) else str(value)


def _quote(text: str) -> str:
    """UTF-8 stands as it is; quotes, backslashes and control characters are escaped."""
    return '"' + "".join(_escape(letter) for letter in text) + '"'


def _escape(letter: str) -> str:
    if letter in {'"', "\\"}:
        return f"\\{letter}"
    return letter if letter.isprintable() or ord(letter) > 0x9F else f"\\{ord(letter):03o}"
