"""Models, builds and what belongs to them, on PostgreSQL and Redis."""

from pathlib import Path

import pytest

from tests.backends.production import MODELS, run_on_production_backends


@pytest.mark.postgres
@pytest.mark.redis
def test_every_promise_of_models_and_builds_holds_on_postgresql_and_redis(tmp_path: Path) -> None:
    run_on_production_backends(tmp_path, MODELS)
