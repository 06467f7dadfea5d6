"""What signed metadata cost at 10 000 artifacts: bytes and time of devices, time of the server.

    python -m tests.benchmarks.trust_metadata            # 20 profiles, then one
    python -m tests.benchmarks.trust_metadata --flat     # as if profiles were not cut into bins

Each artifact comes with its certificate; there is a release for every tenth of them. The client is
the agent's own, over HTTP on this machine, in a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RELEASE_EVERY = 10
REPEATS = 7


def fetch(url: str, folder: Path, paths: Sequence[str]) -> None:
    """Be a device once: look, find every path, say what it cost as JSON."""
    from device_agent.remote_files import PlainFiles
    from device_agent.trust import SignedTargets

    root = (folder / "bootstrap.json").read_bytes()
    before_mib = _peak_mib()
    files, began = PlainFiles({"metadata": f"{url}/metadata"}), time.perf_counter()
    targets = SignedTargets(files, folder / "tuf", root, None)
    found = [targets.find(path) for path in paths]
    took = time.perf_counter() - began
    peak_mib = _peak_mib()
    cost = {"ms": took * 1000, "peak_mib": peak_mib, "grown_mib": peak_mib - before_mib}
    print(json.dumps({**cost, "found": sum(target is not None for target in found)}))


def _peak_mib() -> float:
    """Of this program; what getrusage says begins with the peak of its parent."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


class Device:
    """Runs ``fetch`` and counts what was sent."""

    def __init__(self, folder: Path, files: Any) -> None:
        from server.trust import selectors

        folder.mkdir()
        self.folder, self.server = folder, files
        (folder / "bootstrap.json").write_text(selectors.root_json())

    def look(self, paths: Sequence[str]) -> dict[str, float]:
        from server.trust.models import MetadataFile

        self.server.files.clear()
        self.server.requests.clear()
        for row in MetadataFile.objects.order_by("version").iterator():
            prefix = "" if row.role == "timestamp" else f"{row.version}."
            self.server.files[f"metadata/{prefix}{row.role}.json"] = bytes(row.body)
        command = [sys.executable, "-m", "tests.benchmarks.trust_metadata"]
        done = subprocess.run(
            [*command, "--fetch", self.server.url, str(self.folder), *paths],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return {"refused": 1.0, "why": done.stderr.strip().splitlines()[-1]}  # type: ignore[dict-item]
        cost: dict[str, float] = json.loads(done.stdout)
        if cost["found"] != len(paths):
            raise SystemExit(f"only {cost['found']} of {len(paths)} targets were found")
        sizes = [len(self.server.files.get(path, b"")) for path in self.server.requests]
        return {**cost, "kib": sum(sizes) / 1024, "files": sum(map(bool, sizes))}


def targets_of(profile: str, first: int, count: int) -> list[Any]:
    """Artifacts with certificates, and now and then a release, as builds sign them."""
    from inference_core.contract import release as r
    from server.trust.repository import TargetToSign

    found = []
    for number in range(first, first + count):
        digest, other, source = (
            hashlib.sha256(f"{profile} {number} {what}".encode()).hexdigest() for what in "acs"
        )
        artifact = r.TargetCustom(
            kind="artifact", profile=profile, source_sha256=source, certificate_sha256=other,
            runtime="onnxruntime", runtime_version="1.22.0", peak_memory_bytes=123_456_789,
        )  # fmt: skip
        certificate = r.TargetCustom(kind="certificate", profile=profile, source_sha256=source)
        found.append(TargetToSign(r.artifact_path(profile, digest), digest, 12_345_678, artifact))
        path = r.certificate_path(profile, digest)
        found.append(TargetToSign(path, other, 4_321, certificate))
        if number % RELEASE_EVERY == 0:
            custom = r.TargetCustom(kind="release", profile=profile, counter=number + 1)
            path = r.release_path(profile, f"line-{number}")
            found.append(TargetToSign(path, source, 5_432, custom))
    return found


def measure(artifacts: int, profiles: int, folder: Path, server: Any) -> dict[str, Any]:
    """Fill a repository, publish some more, and be a new device and one that is not."""
    from server.trust import services
    from server.trust.models import MetadataFile, SignedTarget

    MetadataFile.objects.all().delete()
    SignedTarget.objects.all().delete()
    names = [f"profile{n}" for n in range(profiles)]
    share = artifacts // profiles
    began = time.perf_counter()
    for name in names:
        services.publish_targets(name, targets_of(name, 0, share - REPEATS))
    filled_s = time.perf_counter() - began
    name, times, warm = names[0], [], []
    device = Device(folder / "device", server)
    newest = [target.path for target in targets_of(name, 0, 1)]
    cold = device.look(newest)
    for number in range(share - REPEATS, share):
        began = time.perf_counter()
        more = targets_of(name, number * RELEASE_EVERY, 1)
        services.publish_targets(name, more)
        times.append((time.perf_counter() - began) * 1000)
        warm.append(device.look([target.path for target in more]))
    served = sum(len(row.body) for row in _newest_rows()) / 1024
    return {
        "profiles": profiles,
        "filled_s": filled_s,
        "served_kib": served,
        "publish_ms": statistics.median(times),
        "cold": cold,
        "warm": _median(warm),
    }


def _newest_rows() -> list[Any]:
    from server.trust.models import MetadataFile

    return list({row.role: row for row in MetadataFile.objects.order_by("version")}.values())


def _median(costs: list[dict[str, float]]) -> dict[str, float]:
    refused = [cost for cost in costs if "refused" in cost]
    if refused:
        return refused[0]
    return {key: statistics.median(cost[key] for cost in costs) for key in costs[0]}


def _row(found: dict[str, Any]) -> str:
    def cost(each: dict[str, Any]) -> str:
        if "refused" in each:
            return f"REFUSED ({each['why'][:90]})"
        return (
            f"{each['kib']:8.1f} KiB in {each['files']:.0f} files, {each['ms']:6.1f} ms, "
            f"+{each['grown_mib']:.1f} MiB to {each['peak_mib']:.1f} MiB"
        )

    return (
        f"{found['profiles']:3} profiles: {found['served_kib'] / 1024:6.1f} MiB of metadata, "
        f"publishing one more {found['publish_ms']:7.1f} ms, filled in {found['filled_s']:.1f} s\n"
        f"    new device   {cost(found['cold'])}\n    next update  {cost(found['warm'])}"
    )


def main(options: argparse.Namespace) -> None:
    """Print a row for each shape."""
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {"LINEWARDEN_DATA": name, "DJANGO_SETTINGS_MODULE": "server.config.settings"}
        import django

        django.setup()
        from django.core.management import call_command

        from server.lib import blobs
        from server.trust import bins
        from tests.faults.file_server import FileServer

        call_command("migrate", verbosity=0)
        blobs.exists = lambda sha256: True  # the bytes are not what is measured
        if options.flat:
            bins.BIN_TARGETS = 10**9
        for profiles in options.profiles:
            with FileServer({}).running() as server, tempfile.TemporaryDirectory() as folder:
                print(_row(measure(options.artifacts, profiles, Path(folder), server)), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=int, default=10_000)
    parser.add_argument("--profiles", type=int, nargs="+", default=[20, 1])
    parser.add_argument("--flat", action="store_true")
    parser.add_argument("--fetch", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fetch:
        fetch(given.fetch[0], Path(given.fetch[1]), given.fetch[2:])
    else:
        main(given)
