"""What a question about the past costs: ``python -m tests.benchmarks.run_history`` prints JSON.

A year of 10 000 devices that change their release every week, on a PostgreSQL of its own.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta

from tests.servers import postgres_server

DEVICES, WEEKS, REPEATS = 10_000, 52, 5
END = datetime(2026, 11, 1, tzinfo=UTC)
QUESTIONS = (
    {"at": "2026-10-30"},
    {"at": "2026-05-05"},
    {"at": "2025-11-05"},
    {"at": "2025-11-05", "release": "r0"},
    {"at": "2020-01-01"},
)


def main() -> None:
    with postgres_server() as url, tempfile.TemporaryDirectory() as data:
        os.environ |= {
            "LINEWARDEN_DATABASE_URL": url,
            "LINEWARDEN_DATA": data,
            "DJANGO_SETTINGS_MODULE": "server.config.settings",
        }
        import django

        django.setup()
        from django.db import connection

        fill()
        answers = [{**question, "median_ms": ask(question)} for question in QUESTIONS]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_total_relation_size('fleet_releaserun')")
            size = cursor.fetchone()[0]
        connection.close()
    json.dump({"rows": DEVICES * WEEKS, "bytes": size, "answers": answers}, sys.stdout, indent=1)


def fill() -> None:
    from django.core.management import call_command
    from django.db import connection

    from server.builds.models import ReleaseTarget
    from server.fleet.models import Device, HardwareProfile, Line, ReleaseRun, Site
    from server.registry.models import Release

    call_command("migrate", verbosity=0)
    line = Line.objects.create(site=Site.objects.create(name="s", title="s"), name="l", title="l")
    profile = HardwareProfile.objects.create(
        name="box", runtime="onnxruntime", architecture="x86_64", precisions=["fp32"]
    )
    devices = Device.objects.bulk_create(
        [
            Device(serial=f"d{n}", state="accepted", line=line, profile=profile, enrolled_at=END)
            for n in range(DEVICES)
        ]
    )
    for week in range(WEEKS):
        digest, since = f"{week:064x}", END - timedelta(weeks=WEEKS - week)
        until = since + timedelta(weeks=1) if week < WEEKS - 1 else None
        release = Release.objects.create(
            name=f"r{week}", counter=week, pipeline_body={}, created_at=since, created_by="bench"
        )
        ReleaseTarget.objects.create(
            release=release, profile=profile, path="p", sha256=digest, length=1, signed_at=since
        )
        ReleaseRun.objects.bulk_create(
            [
                ReleaseRun(device=d, sha256=digest, since=since, heard_until=until, until=until)
                for d in devices
            ]
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def ask(question: dict[str, str]) -> int:
    """Median milliseconds of the first page, through the whole API."""
    from rest_framework.test import APIClient

    from server.accounts.models import User

    client = APIClient(headers={"host": "localhost"})
    user, _ = User.objects.get_or_create(username="root", is_superuser=True)
    client.force_authenticate(user)
    took_ms = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        answer = client.get("/api/v1/runs", question)
        took_ms.append(1000 * (time.perf_counter() - start))
        assert answer.status_code == 200, answer.content
    return round(statistics.median(took_ms))


if __name__ == "__main__":
    main()
