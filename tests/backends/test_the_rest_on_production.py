"""All other rooms of the server, on PostgreSQL and Redis."""

from pathlib import Path

import pytest

from tests.backends.production import MODELS, run_on_production_backends


@pytest.mark.postgres
@pytest.mark.redis
def test_every_other_promise_of_the_server_holds_on_postgresql_and_redis(tmp_path: Path) -> None:
    elsewhere = [f"--ignore={room}" for room in MODELS]
    run_on_production_backends(tmp_path, ["tests/server", *elsewhere])
