"""The same code on the production backends: every test of the server runs there again.

In two parts, so that two processes share them.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.servers import postgres_server, redis_server

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = tuple(
    f"tests/server/{room}" for room in ("builds", "comparisons", "datasets", "registry", "uploads")
)


def run_on_production_backends(folder: Path, arguments: Iterable[str]) -> None:
    """Run tests with PostgreSQL and Redis of their own; fails with their output."""
    with postgres_server() as database_url, redis_server(folder) as redis_url:
        environment = {
            **os.environ,
            "LINEWARDEN_DATABASE_URL": database_url,
            "LINEWARDEN_REDIS_URL": redis_url,
        }
        environment.pop("LINEWARDEN_DATA", None)
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
