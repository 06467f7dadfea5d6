"""What boards tell of themselves, read from recorded trees: see hardware/SOURCES.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from device_agent.hardware.facts import read_facts
from device_agent.hardware.generic import Generic
from device_agent.hardware.health import HealthReader
from device_agent.hardware.jetson import Jetson
from device_agent.hardware.platform import name_jetpack
from device_agent.hardware.raspberry_pi import RaspberryPi
from tests.agent.boards import FOLDER, change, lay_out
from tests.agent.device import REPOSITORY

OC3 = "sys/class/hwmon/hwmon2/oc3_event_cnt"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
ENERGY = "sys/class/powercap/intel-rapl:0/energy_uj"


@pytest.mark.parametrize(
    ("board", "platform", "soc", "accelerators", "software"),
    [
        (
            "jetson-orin-nano",
            "jetson",
            "tegra234",
            (),
            {
                "l4t": "36.4.3",
                "jetpack": "6.2",
                "cuda": "12.6.11",
                "tensorrt": "10.3.0.30",
                "os": "ubuntu 22.04",
            },
        ),
        (
            "jetson-agx-xavier",
            "jetson",
            "tegra194",
            (),
            {"l4t": "35.4.1", "jetpack": "5.1.2", "cuda": "11.4.19", "os": "ubuntu 20.04"},
        ),
        (
            "jetson-nano",
            "jetson",
            "tegra210",
            (),
            {
                "l4t": "32.7.4",
                "jetpack": "4.6",
                "cuda": "10.2.300",
                "tensorrt": "8.2.1",
                "os": "ubuntu 18.04",
            },
        ),
        (
            "jetson-thor",
            "jetson",
            "tegra264",
            (),
            {"l4t": "38.4.0", "jetpack": "7.1", "os": "ubuntu 24.04"},
        ),
        ("raspberry-pi-5", "raspberry_pi", "bcm2712", ("edgetpu-usb",), {"os": "debian 12"}),
        ("coral-dev-board", "coral", "imx8mq", ("edgetpu-pcie",), {"os": "mendel 10"}),
        (
            "pc-with-coral",
            "generic",
            "",
            ("edgetpu-pcie", "edgetpu-pcie"),
            {"os": "ubuntu 24.04"},
        ),
        (
            "pc-with-nvidia",
            "generic",
            "",
            (),
            {"nvidia_driver": "580.95.05", "os": "ubuntu 24.04"},
        ),
        ("pc-with-intel", "generic", "", ("intel-gpu", "intel-npu"), {"os": "ubuntu 24.04"}),
        ("pc-with-amd", "generic", "", (), {"os": "debian 12"}),
    ],
)
def test_a_board_is_known_by_its_files(  # noqa: PLR0917 - a table's columns
    tmp_path: Path,
    board: str,
    platform: str,
    soc: str,
    accelerators: tuple[str, ...],
    software: dict[str, str],
) -> None:
    facts = read_facts(lay_out(board, tmp_path))
    assert (facts.platform, facts.soc, facts.accelerators) == (platform, soc, accelerators)
    assert facts.software == software


@pytest.mark.parametrize(
    ("board", "generation"),
    [
        ("jetson-nano", "5.3"),
        ("jetson-agx-xavier", "7.2"),
        ("jetson-orin-nano", "8.7"),
        ("jetson-thor", "11.0"),
        ("raspberry-pi-5", ""),
    ],
)
def test_a_jetsons_gpu_is_known_by_its_chip(tmp_path: Path, board: str, generation: str) -> None:
    assert read_facts(lay_out(board, tmp_path)).compute_capability == generation


def test_a_card_is_asked_of_its_driver_and_without_an_answer_its_name_is_known(
    tmp_path: Path,
) -> None:
    root = lay_out("pc-with-nvidia", tmp_path)
    facts = read_facts(root)
    assert (facts.gpu, facts.compute_capability) == ("NVIDIA L4", "")
    program = root / "usr/bin/nvidia-smi"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 'NVIDIA L4, 8.9'; echo 'NVIDIA T4, 7.5'\n")
    program.chmod(0o755)
    facts = read_facts(root)
    assert (facts.gpu, facts.compute_capability) == ("NVIDIA L4", "8.9")
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    assert read_facts(root).gpu == "NVIDIA L4"


def test_every_recorded_board_is_read_in_this_file() -> None:
    read = Path(__file__).read_text()
    assert [tree.stem for tree in FOLDER.glob("*.tree") if f'"{tree.stem}"' not in read] == []


def test_an_empty_box_knows_nothing_and_says_so(tmp_path: Path) -> None:
    facts = read_facts(tmp_path)
    assert (facts.platform, facts.soc, facts.board, facts.software) == ("generic", "", "", {})
    reader = HealthReader(tmp_path, tmp_path)
    reader.read()
    health = reader.read()
    assert health.temperature_c is None
    assert health.temperatures_c == {}
    assert (health.power_w, health.gpu_share, health.throttled) == (None, None, None)
    assert (health.throttle_reasons, health.uptime_s) == ((), None)


def test_an_orin_says_its_temperatures_its_input_power_and_its_gpu(tmp_path: Path) -> None:
    health = HealthReader(tmp_path, lay_out("jetson-orin-nano", tmp_path)).read()
    # cv0 answers EAGAIN and cv1 is switched off (-256): they cost nothing but themselves.
    assert health.temperatures_c == {
        "cpu-thermal": 51.875,
        "gpu-thermal": 50.343,
        "soc0-thermal": 49.281,
        "tj-thermal": 51.875,
        "nvme.Composite": 41.85,
    }
    assert health.temperature_c == 51.875
    assert health.power_w == pytest.approx(5.072 * 0.992, abs=0.001)
    assert health.gpu_share == 0.437
    assert health.uptime_s == 5211.42
    assert (health.throttled, health.throttle_reasons) == (False, ())


def test_overcurrent_since_the_reading_before_is_throttling_older_events_are_not(
    tmp_path: Path,
) -> None:
    jetson = Jetson(lay_out("jetson-orin-nano", tmp_path))
    assert jetson.read().throttled is False  # 37 events before the agent looked
    change(tmp_path, OC3, "38")
    reading = jetson.read()
    assert (reading.throttled, reading.throttle_reasons) == (True, ("instantaneous-overcurrent",))
    assert jetson.read().throttled is False
    change(tmp_path, OC3, "0")  # the counter began anew
    assert jetson.read().throttled is False


def test_a_xavier_adds_its_rails_and_names_what_is_throttled(tmp_path: Path) -> None:
    reading = Jetson(lay_out("jetson-agx-xavier", tmp_path)).read()
    assert reading.power_w == pytest.approx(1.9 + 0.95 + 2.0)  # not the channel that is NC
    assert reading.throttle_reasons == ("gpu-throttle-alert",)
    assert reading.throttled is True
    assert reading.gpu_share is None  # its power is gated: EAGAIN
    assert reading.temperatures_c == {"CPU-therm": 44.0}


def test_a_nano_has_older_files_and_a_zone_that_measures_nothing(tmp_path: Path) -> None:
    reading = Jetson(lay_out("jetson-nano", tmp_path)).read()
    assert reading.temperatures_c == {"AO-therm": 38.5, "CPU-therm": 31.5}
    assert reading.power_w == 2.31
    assert reading.gpu_share == 0.0
    assert reading.throttle_reasons == ("cpu-balanced",)


def test_a_thor_measures_its_input_and_no_file_tells_of_its_gpu(tmp_path: Path) -> None:
    reading = Jetson(lay_out("jetson-thor", tmp_path)).read()
    assert reading.power_w == 31.25
    assert reading.gpu_share is None
    assert reading.throttled is None


def test_where_files_do_not_tell_jetson_stats_does(tmp_path: Path) -> None:
    """A Jetson's service cannot run here: a stand-in package answers as version 7 does."""
    (tmp_path / "jtop.py").write_text(STAND_IN)
    lay_out("jetson-thor", tmp_path / "root")
    script = (
        "import time, pathlib\n"
        "from device_agent.hardware.jetson import Jetson\n"
        f"jetson = Jetson(pathlib.Path({str(tmp_path / 'root')!r}))\n"
        "ends_at = time.monotonic() + 20\n"
        "while jetson.read().gpu_share is None and time.monotonic() < ends_at: time.sleep(0.01)\n"
        "print(jetson.read().gpu_share, jetson.read().power_w)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["0.62", "31.25"]  # the file's watts are preferred


STAND_IN = """
import time
class jtop:
    power = {"rail": {}, "tot": {"power": 99000}}
    gpu = {"thor": {"status": {"load": 62.0}}}
    def __init__(self, interval): pass
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def ok(self): time.sleep(0.01); return True
"""


def test_a_pi_tells_of_now_and_of_what_came_and_went_but_not_of_long_ago(tmp_path: Path) -> None:
    board = RaspberryPi(lay_out("raspberry-pi-5", tmp_path))
    reading = board.read()  # 50000: undervoltage and throttling some time since the boot
    assert (reading.throttled, reading.throttle_reasons) == (False, ())
    assert reading.temperatures_c == {"cpu-thermal": 61.55, "rp1_adc.temp1": 57.411}
    assert (reading.power_w, reading.gpu_share) == (None, None)
    change(tmp_path, THROTTLED, "d0008")
    assert board.read().throttle_reasons == ("soft-temperature-limit",)
    change(tmp_path, THROTTLED, "f0000")  # capped between two readings
    assert board.read().throttle_reasons == ("frequency-capped",)
    assert board.read().throttled is False


def test_a_pi_without_that_file_asks_the_firmwares_program(tmp_path: Path) -> None:
    (lay_out("raspberry-pi-5", tmp_path) / THROTTLED).unlink()
    program = tmp_path / "usr/bin/vcgencmd"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo "throttled=0x50005"\n')
    program.chmod(0o755)
    assert RaspberryPi(tmp_path).read().throttle_reasons == ("undervoltage", "throttled")
    program.write_text("#!/bin/sh\necho 'VCHI initialization failed'; exit 255\n")
    assert RaspberryPi(tmp_path).read().throttled is None


def test_a_pi_with_nothing_but_the_voltage_alarm_claims_no_more_than_that(tmp_path: Path) -> None:
    (lay_out("raspberry-pi-5", tmp_path) / THROTTLED).unlink()
    assert RaspberryPi(tmp_path).read().throttled is None
    change(tmp_path, "sys/class/hwmon/hwmon3/in0_lcrit_alarm", "1")
    assert RaspberryPi(tmp_path).read().throttle_reasons == ("undervoltage",)


def test_a_coral_board_is_a_plain_board_with_an_accelerator(tmp_path: Path) -> None:
    health = HealthReader(tmp_path, lay_out("coral-dev-board", tmp_path)).read()
    assert health.temperatures_c == {"cpu-thermal": 56.0, "apex_0": 61.55}
    assert (health.throttled, health.throttle_reasons) == (False, ())


def test_a_pc_with_two_corals_tells_of_both_and_drops_absurd_values(tmp_path: Path) -> None:
    health = HealthReader(tmp_path, lay_out("pc-with-coral", tmp_path)).read()
    # Core 0 says 127 and apex_0 says -89.7: both are asleep.
    assert health.temperatures_c == {
        "acpitz": 27.8,
        "acpitz.2": 29.8,
        "coretemp.Package id 0": 48.0,
        "apex_1": 86.55,
    }
    assert (health.throttled, health.throttle_reasons) == (True, ("edgetpu-hot",))


def test_power_is_energy_by_time_also_where_the_counter_begins_anew(tmp_path: Path) -> None:
    moments = iter([0.0, 10.0, 20.0, 30.0])
    board = Generic(lay_out("pc-with-coral", tmp_path), clock=lambda: next(moments))
    assert board.read().power_w is None  # one look at a counter is no power
    change(tmp_path, ENERGY, "262143200000")
    assert board.read().power_w == 0.02
    change(tmp_path, ENERGY, "60000000")
    assert board.read().power_w == pytest.approx((128_850 + 60_000_000) / 1e7, abs=0.001)
    change(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", "denied")
    assert board.read().power_w is None


def test_a_processor_throttled_when_its_counter_rose(tmp_path: Path) -> None:
    board = Generic(lay_out("pc-with-coral", tmp_path))
    assert board.read().throttled is False
    folder = "sys/devices/system/cpu/cpu1/thermal_throttle"
    change(tmp_path, f"{folder}/core_throttle_count", "1")
    assert board.read().throttle_reasons == ("core-temperature",)
    assert board.read().throttled is False


def test_this_very_machine_can_be_read() -> None:
    reader = HealthReader(Path("/tmp"))
    health = reader.read(child_rss_bytes=5, cameras={"top": "ok"}, child_starts=2)
    assert health.memory_used_share is not None
    assert 0 < health.memory_used_share < 1
    assert (health.child_rss_bytes, health.cameras, health.child_starts) == (5, {"top": "ok"}, 2)
    assert health.uptime_s
    assert all(-60 < celsius < 127 for celsius in health.temperatures_c.values())


@pytest.mark.parametrize(
    ("l4t", "jetpack"),
    [("36.4", "6.1"), ("36.4.4", "6.2.1"), ("36.4.9", "6.1"), ("39.2.0", "7.2"), ("28.1", "")],
)
def test_jetpack_is_named_by_the_longest_beginning_that_fits(l4t: str, jetpack: str) -> None:
    assert name_jetpack(l4t) == jetpack
