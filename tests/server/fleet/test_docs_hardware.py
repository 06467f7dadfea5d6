"""The table of profiles in docs/hardware/README.md is the table of seeds."""

from __future__ import annotations

from pathlib import Path

from server.fleet.requirements import Requirements
from server.fleet.seeds import SEEDS, Seed

PAGE = Path(__file__).parents[3] / "docs/hardware/README.md"


def _needs(requires: Requirements) -> str:
    words = [
        requires.board or requires.soc,
        f"L4T {' or '.join(requires.l4t)}" if requires.l4t else "",
        " or ".join(requires.accelerators),
    ]
    return ", ".join(filter(None, words)) or "–"


def _row(seed: Seed) -> str:
    spec, engine = seed.spec, seed.spec.tensorrt
    runtime = str(spec.runtime)
    if engine:
        runtime = (
            f"{'TensorRT for RTX' if engine.flavour == 'rtx' else 'TensorRT'} {engine.version}"
        )
        runtime += f", SM {', '.join(engine.compute_capabilities)}"
    elif spec.runtime_version:
        runtime += f" {spec.runtime_version}"
    if spec.compute_device != "cpu":
        runtime += f" on the {spec.compute_device.value.upper()}"
    precisions = ", ".join(map(str, spec.precisions))
    cells = (f"`{spec.name}`", seed.title, runtime, _needs(seed.requires), precisions)
    return f"| {' | '.join(cells)} |"


def test_every_seed_has_its_row_and_every_row_its_seed() -> None:
    _, _, rest = PAGE.read_text().partition("## Profiles")
    rows = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    assert rows == [_row(seed) for seed in SEEDS]
