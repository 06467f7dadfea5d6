"""What the pages say can be found: links lead somewhere, commands exist."""

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_make_target_of_the_readme_exists() -> None:
    wanted = set(re.findall(r"\bmake ([a-z]+)", (REPOSITORY / "README.md").read_text()))
    for target in wanted - {"run", "demo"}:
        subprocess.run(
            ["make", "--dry-run", target], cwd=REPOSITORY, check=True, capture_output=True
        )
    assert {"run", "test", "demo", "check"} <= wanted


def test_the_contract_of_the_tree_holds_at_the_top_level() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    folders = {path.split("/")[0] for path in tracked if "/" in path}
    assert folders <= {
        *("server", "device_agent", "inference_core", "fleet_ui", "ansible", "tests"),
        *("docs", ".ci"),
    }
