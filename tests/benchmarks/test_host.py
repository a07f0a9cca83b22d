from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mstl_edge_bench.machine.cpu import cpu_features, cpu_name, dot_product, parse_cpuinfo
from mstl_edge_bench.machine.emulation import emulated_because
from mstl_edge_bench.machine.host import describe_host, read_conditions, resident_bytes

Tree = Callable[[dict[str, str]], Path]

PI_5_CORE = """processor\t: {n}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes crc32 cpuid asimdrdm lrcpc dcpop asimddp asimdhp fphp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""
PI_5 = {
    "proc/cpuinfo": "".join(PI_5_CORE.format(n=n) for n in range(4)) + "Model\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/meminfo": "MemTotal:        8245056 kB\nMemFree: 1 kB\n",
    "proc/loadavg": "0.31 0.20 0.10 1/200 999\n",
    "proc/self/status": "Name:\tpython3\nVmHWM:\t   61440 kB\nVmRSS:\t   51200 kB\n",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2400000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "2400000\n",
    "sys/class/thermal/thermal_zone0/temp": "61200\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "90000\n",
    "sys/class/thermal/thermal_zone1/type": "nvme\n",
}


def no_vcgencmd(command: str) -> str:
    return ""


def test_a_raspberry_pi_5_is_described_from_its_files(tree: Tree) -> None:
    host = describe_host(tree(PI_5))
    assert host.board == "Raspberry Pi 5 Model B Rev 1.0"
    assert host.cpu == "Cortex-A76"
    assert host.features == ("asimd", "asimdhp", "fphp", "asimddp")
    assert (host.governor, host.max_clock_mhz) == ("ondemand", 2400.0)
    assert host.memory_bytes == 8245056 * 1024
    assert host.system == "Debian GNU/Linux 12 (bookworm)"


def test_conditions_come_from_sysfs_and_the_hottest_zone_of_the_cpu_counts(tree: Tree) -> None:
    found = read_conditions(tree(PI_5), no_vcgencmd)
    assert (found.clock_mhz, found.temperature_c, found.throttled, found.load_1min) == (2400.0, 61.2, None, 0.31)


@pytest.mark.parametrize(
    ("said", "flags"), [("throttled=0x50005\n", 0x50005), ("throttled=0x0\n", 0), ("", None), ("error=1", None)]
)
def test_throttling_flags_come_from_the_firmware(tree: Tree, said: str, flags: int | None) -> None:
    asked: list[str] = []

    def vcgencmd(command: str) -> str:
        asked.append(command)
        return said

    assert read_conditions(tree({}), vcgencmd).throttled == flags
    assert asked == ["get_throttled"]


def test_throttling_flags_in_sysfs_are_taken_without_asking_the_firmware(tree: Tree) -> None:
    root = tree({"sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n"})

    def never(command: str) -> str:
        raise AssertionError(command)

    assert read_conditions(root, never).throttled == 0x50000


def test_a_machine_that_tells_nothing_is_unknown_and_no_error(tree: Tree) -> None:
    root = tree({})
    host, found = describe_host(root), read_conditions(root, no_vcgencmd)
    assert (host.board, host.cpu, host.features, host.governor, host.memory_bytes) == (
        "unknown",
        "unknown",
        (),
        None,
        None,
    )
    assert (found.clock_mhz, found.temperature_c, found.load_1min) == (None, None, None)
    assert resident_bytes(root) == (0, 0)


def test_an_x86_clock_comes_from_cpuinfo(tree: Tree) -> None:
    root = tree(
        {"proc/cpuinfo": "model name\t: Some CPU\ncpu MHz\t\t: 2300.125\nflags\t\t: fpu sse4_1 avx2 avx512_vnni\n"}
    )
    assert read_conditions(root, no_vcgencmd).clock_mhz == 2300.125
    assert describe_host(root).cpu == "Some CPU"


CLOCK = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq"


@pytest.mark.parametrize(("cores", "clock"), [((0, 1), 2400.0), ((0,), 600.0), ((1, 2), 2400.0), ((2, 3), 1500.0)])
def test_the_clock_is_that_of_the_fastest_core_the_process_may_run_on(
    tree: Tree, cores: tuple[int, ...], clock: float
) -> None:
    speeds = {0: "600000\n", 1: "2400000\n", 2: "1500000\n"}
    root = tree({CLOCK.format(core): speed for core, speed in speeds.items()})
    assert read_conditions(root, no_vcgencmd, cores=cores).clock_mhz == clock


def test_of_an_x86_the_cores_the_process_may_run_on_count_too(tree: Tree) -> None:
    listed = "".join(f"processor\t: {core}\ncpu MHz\t\t: {mhz}\n\n" for core, mhz in enumerate((3000, 800, 2000)))
    root = tree({"proc/cpuinfo": listed})
    assert read_conditions(root, no_vcgencmd, cores=(1, 2)).clock_mhz == 2000.0
    assert read_conditions(root, no_vcgencmd, cores=(0, 1)).clock_mhz == 3000.0


def test_resident_memory_is_read_in_bytes(tree: Tree) -> None:
    assert resident_bytes(tree(PI_5)) == (51200 * 1024, 61440 * 1024)


def test_big_and_little_cores_are_both_named_and_share_their_features() -> None:
    little = PI_5_CORE.format(n=0).replace("0xd0b", "0xd05").replace(" asimddp", "")
    blocks = parse_cpuinfo(little + PI_5_CORE.format(n=1))
    assert cpu_name(blocks) == "Cortex-A55 + Cortex-A76"
    assert "asimddp" not in cpu_features(blocks)


@pytest.mark.parametrize(
    ("features", "title"),
    [
        (("asimd", "asimddp"), "int8 dot products (asimddp)"),
        (("asimd",), None),
        (("avx2", "avx_vnni"), "AVX-VNNI"),
        ((), None),
    ],
)
def test_dot_product_instructions_are_named(features: tuple[str, ...], title: str | None) -> None:
    assert dot_product(features) == title


def test_a_real_pi_is_not_emulated(tree: Tree) -> None:
    assert emulated_because(tree(PI_5), machine="aarch64", environment={}) is None


def test_a_real_pc_is_not_emulated(tree: Tree) -> None:
    root = tree(
        {
            "proc/cpuinfo": "vendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)\n",
            "proc/self/status": "Name:\tpython\n",
        }
    )
    assert emulated_because(root, machine="x86_64", environment={}) is None


@pytest.mark.parametrize(
    ("files", "machine", "environment", "word"),
    [
        ({}, "aarch64", {"MSTL_EDGE_EMULATED": "1"}, "MSTL_EDGE_EMULATED"),
        # qemu-user with a made-up cpuinfo: the emulator's name stays in status.
        ({**PI_5, "proc/self/status": "Name:\tqemu-aarch64\n"}, "aarch64", {}, "qemu-aarch64"),
        ({"proc/cpuinfo": "vendor_id\t: AuthenticAMD\nmodel name\t: EPYC\n"}, "aarch64", {}, "AuthenticAMD"),
        (
            {"proc/cpuinfo": "vendor_id\t: GenuineIntel\nmodel name\t: QEMU Virtual CPU version 2.5+\n"},
            "x86_64",
            {},
            "QEMU",
        ),
        ({"proc/cpuinfo": "vendor_id\t: VirtualApple\nmodel name\t: VirtualApple\n"}, "x86_64", {}, "Rosetta"),
        ({**PI_5, "proc/device-tree/model": "linux,dummy-virt\0"}, "aarch64", {}, "linux,dummy-virt"),
        ({**PI_5, "proc/device-tree/compatible": "linux,dummy-virt\0"}, "armv7l", {}, "linux,dummy-virt"),
        (
            {**PI_5, "sys/devices/virtual/dmi/id/product_name": "QEMU Virtual Machine\n"},
            "aarch64",
            {},
            "QEMU Virtual Machine; if KVM",
        ),
        ({"proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x00\nCPU part\t: 0x051\n"}, "aarch64", {}, "maker"),
    ],
)
def test_an_emulated_cpu_is_recognised(
    tree: Tree, files: dict[str, str], machine: str, environment: dict[str, str], word: str
) -> None:
    because = emulated_because(tree(files), machine=machine, environment=environment)
    assert because is not None
    assert word in because


def test_a_virtual_board_on_real_silicon_is_believed_by_its_smbios_or_by_the_variable(tree: Tree) -> None:
    kvm = tree({**PI_5, "sys/devices/virtual/dmi/id/product_name": "KVM Virtual Machine\n"})
    assert emulated_because(kvm, machine="aarch64", environment={}) is None
    virt = tree({**PI_5, "proc/device-tree/model": "linux,dummy-virt\0"})
    assert emulated_because(virt, machine="aarch64", environment={}) is not None
    assert emulated_because(virt, machine="aarch64", environment={"MSTL_EDGE_EMULATED": "0"}) is None


def test_the_variable_talks_no_translator_away(tree: Tree) -> None:
    root = tree({**PI_5, "proc/self/status": "Name:\tqemu-aarch64\n"})
    assert "qemu-aarch64" in str(emulated_because(root, machine="aarch64", environment={"MSTL_EDGE_EMULATED": "0"}))
