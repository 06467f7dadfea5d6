"""The same code on the production backends: every test of the server runs there again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import postgres_server, redis_server

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.postgres
@pytest.mark.redis
def test_every_promise_of_the_server_holds_on_postgresql_and_redis(tmp_path: Path) -> None:
    with postgres_server() as database_url, redis_server(tmp_path) as redis_url:
        environment = {
            **os.environ,
            "LINEWARDEN_DATABASE_URL": database_url,
            "LINEWARDEN_REDIS_URL": redis_url,
        }
        environment.pop("LINEWARDEN_DATA", None)
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/server"],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
