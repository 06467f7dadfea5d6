"""The hardware profiles that come with the server: a row each, in the order of suggestion.

A row says what is built, and what a device must be for it. Where it has been run, and where
not, stands in docs/hardware/README.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inference_core.contract.build import ProfileSpec, TensorRtProfile
from inference_core.contract.words import ComputeDevice, Precision, RuntimeName
from server.fleet.requirements import Requirements

FP32, FP16, INT8 = Precision.FP32, Precision.FP16, Precision.INT8
ORT, OPENVINO, OPENCV, LITERT, TENSORRT = (
    RuntimeName.ONNXRUNTIME,
    RuntimeName.OPENVINO,
    RuntimeName.OPENCV_DNN,
    RuntimeName.LITERT,
    RuntimeName.TENSORRT,
)
JP6, JP72, JP7 = ("36.4", "36.5"), ("39.2",), ("38",)
TPU_USB, TPU_PCIE = ("edgetpu-usb",), ("edgetpu-pcie",)


@dataclass(frozen=True)
class Seed:
    """A row of the table: the profile, its name for people, and what a device must be."""

    spec: ProfileSpec
    title: str
    requires: Requirements


def _cpu(name: str, title: str, *, on: RuntimeName, chip: str = "x86_64", **more: Any) -> Seed:
    """Computed by the processor, unless ``more`` says otherwise."""
    spec = {"precisions": (FP32, INT8), "threads": 2, "runtime": on, "architecture": chip}
    fields = {key: more.pop(key) for key in list(more) if key in ProfileSpec.model_fields}
    return Seed(ProfileSpec(name=name, **(spec | fields)), title, Requirements(**more))


def _arm(name: str, title: str, *, on: RuntimeName, **more: Any) -> Seed:
    return _cpu(name, title, on=on, chip="aarch64", **more)


def _jetson(
    name: str, title: str, *, soc: str, sm: str, trt: str, l4t: tuple[str, ...], board: str = ""
) -> Seed:
    """An engine for one module under one JetPack; it is built on such a module."""
    spec = ProfileSpec(
        name=f"{name}-trt{trt}",
        runtime=TENSORRT,
        architecture="aarch64",
        precisions=(FP32, FP16, INT8),
        tensorrt=TensorRtProfile(version=trt, compute_capabilities=(sm,)),
    )
    requires = Requirements(platform="jetson", soc=soc, board=board, l4t=l4t)
    return Seed(spec, f"{title}, TensorRT {trt}", requires)


def _card(trt: str, sm: str, cards: str) -> Seed:
    """An engine for every card of a generation, where this very TensorRT is installed."""
    engine = TensorRtProfile(
        version=trt, compute_capabilities=(sm,), hardware_compatibility="same_compute_capability"
    )
    title = f"NVIDIA {cards}, TensorRT {trt}"
    return _engine(f"nvidia-sm{sm.replace('.', '')}-trt{trt}", title, engine)


def _rtx(sm: str, cards: str) -> Seed:
    """An engine for a generation of RTX cards; it is built without a GPU."""
    engine = TensorRtProfile(flavour="rtx", version="1.7", compute_capabilities=(sm,))
    title = f"NVIDIA {cards}, TensorRT for RTX 1.7"
    return _engine(f"nvidia-sm{sm.replace('.', '')}-rtx1.7", title, engine)


def _engine(name: str, title: str, engine: TensorRtProfile) -> Seed:
    spec = ProfileSpec(
        name=name,
        runtime=TENSORRT,
        architecture="x86_64",
        precisions=(FP32, FP16, INT8),
        threads=2,
        tensorrt=engine,
    )
    return Seed(spec, title, Requirements(platform="generic"))


def _rows() -> Iterator[Seed]:
    yield from _JETSONS
    yield from _CORALS
    yield from _CARDS
    yield from _PROCESSORS
    yield from _INTEL


_JETSONS = (
    _jetson("jetson-orin-nano-jp6.2", "Jetson Orin Nano, JetPack 6.1 to 6.2", soc="tegra234", sm="8.7", board="Orin Nano", l4t=JP6, trt="10.3"),
    _jetson("jetson-orin-nx-jp6.2", "Jetson Orin NX, JetPack 6.1 to 6.2", soc="tegra234", sm="8.7", board="Orin NX", l4t=JP6, trt="10.3"),
    _jetson("jetson-agx-orin-jp6.2", "Jetson AGX Orin, JetPack 6.1 to 6.2", soc="tegra234", sm="8.7", board="AGX Orin", l4t=JP6, trt="10.3"),
    _jetson("jetson-orin-nano-jp7.2", "Jetson Orin Nano, JetPack 7.2", soc="tegra234", sm="8.7", board="Orin Nano", l4t=JP72, trt="10.16"),
    _jetson("jetson-orin-nx-jp7.2", "Jetson Orin NX, JetPack 7.2", soc="tegra234", sm="8.7", board="Orin NX", l4t=JP72, trt="10.16"),
    _jetson("jetson-agx-orin-jp7.2", "Jetson AGX Orin, JetPack 7.2", soc="tegra234", sm="8.7", board="AGX Orin", l4t=JP72, trt="10.16"),
    _jetson("jetson-agx-orin-jp7.2", "Jetson AGX Orin, JetPack 7.2.2 or later", soc="tegra234", sm="8.7", board="AGX Orin", l4t=JP72, trt="11.4"),
    _jetson("jetson-thor-jp7.1", "Jetson Thor, JetPack 7.0 to 7.1", soc="tegra264", sm="11.0", l4t=JP7, trt="10.13"),
    _jetson("jetson-thor-jp7.2", "Jetson Thor, JetPack 7.2", soc="tegra264", sm="11.0", l4t=JP72, trt="10.16"),
    _jetson("jetson-thor-jp7.2", "Jetson Thor, JetPack 7.2.2 or later", soc="tegra264", sm="11.0", l4t=JP72, trt="11.4"),
    # TensorRT 8 is too old for the builder: these compute on the processor.
    _arm("jetson-nano-onnxruntime", "Jetson Nano, processor, ONNX Runtime", on=ORT, platform="jetson", soc="tegra210", l4t=("32",)),
    _arm("jetson-xavier-onnxruntime", "Jetson Xavier, processor, ONNX Runtime", on=ORT, platform="jetson", soc="tegra194", l4t=("35",)),
    _arm("jetson-orin-jp5-onnxruntime", "Jetson Orin with JetPack 5, processor, ONNX Runtime", on=ORT, platform="jetson", soc="tegra234", l4t=("35",)),
)  # fmt: skip

_CORALS = (
    _arm("coral-dev-board-litert", "Coral Dev Board", on=LITERT, precisions=(INT8,), accelerator="edgetpu", accelerators=TPU_PCIE, platform="coral"),
    _arm("coral-usb-litert", "Coral USB Accelerator on ARM64", on=LITERT, precisions=(INT8,), accelerator="edgetpu", accelerators=TPU_USB),
    _arm("coral-m2-litert", "Coral M.2 or PCIe on ARM64", on=LITERT, precisions=(INT8,), accelerator="edgetpu", accelerators=TPU_PCIE),
    _cpu("x86-coral-usb-litert", "Coral USB Accelerator on x86-64", on=LITERT, precisions=(INT8,), accelerator="edgetpu", accelerators=TPU_USB),
    _cpu("x86-coral-m2-litert", "Coral M.2 or PCIe on x86-64", on=LITERT, precisions=(INT8,), accelerator="edgetpu", accelerators=TPU_PCIE),
)  # fmt: skip

_CARDS = (
    *(
        _card(trt, sm, cards)
        for trt in ("10.16", "11.4")
        for sm, cards in (
            ("8.0", "A100, A30"),
            ("8.6", "A10, A40, RTX 30"),
            ("8.9", "L4, L40, RTX 40"),
            ("9.0", "H100, H200"),
            ("10.0", "B200"),
            ("12.0", "RTX PRO Blackwell, RTX 50"),
        )
    ),
    _card("10.16", "7.5", "T4, RTX 20"),
    _rtx("7.5", "RTX 20"),
    _rtx("8.6", "RTX 30"),
    _rtx("8.9", "RTX 40"),
    _rtx("12.0", "RTX 50"),
)

_PROCESSORS = (
    _arm("rpi5-onnxruntime", "Raspberry Pi 5, ONNX Runtime", on=ORT, platform="raspberry_pi", soc="bcm2712"),
    _arm("rpi5-litert", "Raspberry Pi 5, LiteRT", on=LITERT, platform="raspberry_pi", soc="bcm2712"),
    _arm("rpi4-onnxruntime", "Raspberry Pi 4, ONNX Runtime", on=ORT, platform="raspberry_pi", soc="bcm2711"),
    _arm("rpi4-litert", "Raspberry Pi 4, LiteRT", on=LITERT, platform="raspberry_pi", soc="bcm2711"),
    _cpu("x86-openvino", "x86-64, OpenVINO, two threads", on=OPENVINO),
    _cpu("x86-onnxruntime", "x86-64, ONNX Runtime, two threads", on=ORT),
    _cpu("x86-opencv-dnn", "x86-64, OpenCV DNN, two threads", on=OPENCV),
    _cpu("x86-litert", "x86-64, LiteRT, two threads", on=LITERT),
)  # fmt: skip

_INTEL = (
    _cpu("x86-openvino-gpu", "Intel GPU, OpenVINO", on=OPENVINO, precisions=(FP32, FP16, INT8), compute_device=ComputeDevice.GPU, accelerators=("intel-gpu",)),
    _cpu("x86-openvino-npu", "Intel NPU, OpenVINO", on=OPENVINO, precisions=(FP16, INT8), compute_device=ComputeDevice.NPU, accelerators=("intel-npu",)),
    _cpu("movidius-openvino2022.3", "Movidius Myriad X: known, and not served by this version", on=OPENVINO, precisions=(FP16,), compute_device=ComputeDevice.MYRIAD, runtime_version="2022.3", accelerators=("myriad-usb",)),
)  # fmt: skip

SEEDS: tuple[Seed, ...] = tuple(_rows())
