"""A promise of the page on reliability is worth as much as the test that it names."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "reliability.md"
_TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def _rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return [row for row in rows if not row[0].startswith("**")]


def _tests_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text()) if path.is_file() else ast.Module([], [])
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_test_that_the_page_names_exists() -> None:
    named = _TEST.findall(PAGE.read_text())
    assert named
    missing = [
        f"{path}::{name}"
        for path, name in named
        if name not in _tests_in(REPOSITORY / "tests" / path)
    ]
    assert missing == []


def test_every_promise_of_the_page_names_a_test_and_nothing_else() -> None:
    rows = _rows()
    assert len(rows) > 40
    for fault, promise, tests in rows:
        assert promise, fault
        assert _TEST.sub("", tests).replace("<br>", "") == "", fault
        assert _TEST.search(tests), fault
