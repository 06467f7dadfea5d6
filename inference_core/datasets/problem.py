"""What is wrong with a dataset, and what was left behind on the way to another format."""

from __future__ import annotations

from inference_core.errors import BadInput


class DatasetError(BadInput):
    """The folder is not a dataset; the sentence says where and what to mend."""


class Notes:
    """What a person should know of a reading or a writing: counted, with the first place."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def tell(self, what: str, where: str, count: int = 1) -> None:
        """``what`` reads well behind a number: "boxes without an area were left out"."""
        if count:
            self._counts[what] = self._counts.get(what, 0) + count
            self._first.setdefault(what, where)

    @property
    def lines(self) -> tuple[str, ...]:
        """One sentence for each thing told, in the order in which they were first told."""
        return tuple(
            f"{count} {what} (first: {self._first[what]})" for what, count in self._counts.items()
        )
