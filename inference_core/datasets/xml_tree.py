"""XML from strangers: no document types, no entities, bounded in size and depth."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from inference_core.datasets.files import read_bytes
from inference_core.datasets.problem import DatasetError

MAX_XML_BYTES = 256 * 1024 * 1024
MAX_DEPTH = 32


@dataclass
class Element:
    """An element with its line, so that a mistake can be found again."""

    tag: str
    attributes: dict[str, str]
    where: str
    """File and line."""
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def find(self, tag: str) -> Element:
        """The first child called ``tag``; ``DatasetError`` where there is none."""
        found = self.find_optional(tag)
        if found is None:
            raise DatasetError(f"{self.where}: <{self.tag}> has no <{tag}>")
        return found

    def find_optional(self, tag: str) -> Element | None:
        """The first child called ``tag``, or None."""
        return next((child for child in self.children if child.tag == tag), None)

    def find_all(self, tag: str) -> list[Element]:
        """Every child called ``tag``."""
        return [child for child in self.children if child.tag == tag]

    def get(self, name: str) -> str:
        """An attribute; ``DatasetError`` where it is absent."""
        if name not in self.attributes:
            raise DatasetError(f"{self.where}: <{self.tag}> has no {name}")
        return self.attributes[name]


def parse_xml(path: Path, limit_bytes: int = MAX_XML_BYTES) -> Element:
    """The root element. ``DatasetError`` with file and line for what is no plain XML.

    A document type is refused outright: entities are how a small file becomes gigabytes in
    memory, or reads other files of this machine.
    """
    data = read_bytes(path, limit_bytes)
    builder = _Builder(path.name)
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise DatasetError(f"{path.name}:{error.lineno}: {error}") from error
    except (LookupError, ValueError) as error:  # an encoding that nobody knows
        raise DatasetError(f"{path.name}: its encoding cannot be read: {error}") from error
    return builder.document.children[0]


class _Builder:
    """Collects elements while expat walks through the file."""

    def __init__(self, file_name: str) -> None:
        self._file_name = file_name
        self.document = Element("", {}, file_name)
        self._open = [self.document]
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._add_text

    @property
    def _where(self) -> str:
        return f"{self._file_name}:{self.parser.CurrentLineNumber}"

    def _refuse_doctype(self, *_: object) -> None:
        raise DatasetError(f"{self._where}: a document type is not accepted; remove <!DOCTYPE …>")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) > MAX_DEPTH:
            raise DatasetError(f"{self._where}: elements lie deeper than {MAX_DEPTH} levels")
        element = Element(tag, attributes, self._where)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, tag: str) -> None:
        del tag
        self._open.pop()

    def _add_text(self, text: str) -> None:
        self._open[-1].text += text
