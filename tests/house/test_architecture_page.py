"""What the page on the architecture says of the agent is so."""

import re
from pathlib import Path

from device_agent.wakeup import WAKE_UPS

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text()
AGENT = PAGE[PAGE.index("## Inside the agent") : PAGE.index("## State machines")]


def test_the_wake_up_table_is_the_one_that_the_agent_wakes_by() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)`[^|]* \| (\d+) \|$", AGENT, re.MULTILINE)
    told = {step: (wakes_in, int(wakes)) for step, wakes_in, wakes in rows}
    assert told == {str(step): (str(to.step), to.max_wakes) for step, to in WAKE_UPS.items()}


def test_every_module_that_the_threads_table_names_exists() -> None:
    rows = re.findall(r"^\| [^|]* \| [^|]* \| (`[^|]*`) \|$", AGENT, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([\w/]+)`", row)]
    assert len(names) > 10
    folder = REPOSITORY / "device_agent"
    missing = [
        name
        for name in names
        if not (folder / f"{name}.py").is_file() and not (folder / name).is_dir()
    ]
    assert missing == []
