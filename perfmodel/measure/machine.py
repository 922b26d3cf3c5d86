"""What a measurement depends on and cannot show: kernel, configuration, CPU, host, load."""

from __future__ import annotations

import gzip
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["CONFIG_FACTS", "machine_state", "scheduler_counters"]

_SYS = Path("/sys")
_PROC = Path("/proc")

#: Name of the fact in the document -> option of the kernel's configuration.
CONFIG_FACTS: dict[str, str] = {
    "PER_VMA_LOCK": "CONFIG_PER_VMA_LOCK",
    "DETECT_HUNG_TASK_BLOCKER": "CONFIG_DETECT_HUNG_TASK_BLOCKER",
    "PREEMPT_DYNAMIC": "CONFIG_PREEMPT_DYNAMIC",
    "PREEMPT_NONE": "CONFIG_PREEMPT_NONE",
    "PREEMPT_VOLUNTARY": "CONFIG_PREEMPT_VOLUNTARY",
    "PREEMPT": "CONFIG_PREEMPT",
    "TRANSPARENT_HUGEPAGE": "CONFIG_TRANSPARENT_HUGEPAGE",
    "HZ": "CONFIG_HZ",
    "NUMA": "CONFIG_NUMA",
    "USERFAULTFD": "CONFIG_USERFAULTFD",
    "LOCK_STAT": "CONFIG_LOCK_STAT",
    "PROVE_LOCKING": "CONFIG_PROVE_LOCKING",
}

_FLAGS_OF_INTEREST = (
    "pcid",  # TLB entries tagged by address space: no flush on a switch
    "invpcid",
    "invlpgb",  # AMD: flush on all CPUs without interrupts
    "constant_tsc",
    "nonstop_tsc",
    "rdtscp",
    "la57",
    "hypervisor",
    "atomics",  # arm64: single-instruction locked operations (LSE)
)


def _read(path: Path) -> str | None:
    """Return a small file's text without the last newline, or None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def kernel_config(release: str) -> tuple[dict[str, bool | str | None], str | None]:
    """Return the facts of `CONFIG_FACTS` and the file they are from.

    Parameters
    ----------
    release : str
        The running kernel, as ``uname -r`` says it.

    Returns
    -------
    facts : dict
        True for built in or module, False for not set, the text for a value (``"250"``); all None
        if no configuration can be read.
    source : str or None
        The file.
    """
    candidates = (
        _PROC / "config.gz",
        Path(f"/boot/config-{release}"),
        Path(f"/lib/modules/{release}/config"),
    )
    for path in candidates:
        try:
            raw = path.read_bytes()
            text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode(
                "utf-8", "replace"
            )
        except (OSError, EOFError):
            continue
        pairs = (line.partition("=") for line in text.splitlines() if line.startswith("CONFIG_"))
        options = {name: value.strip().strip('"') for name, _, value in pairs}
        return {fact: _option(options.get(name)) for fact, name in CONFIG_FACTS.items()}, str(path)
    return dict.fromkeys(CONFIG_FACTS), None


def _option(value: str | None) -> bool | str:
    if value is None:
        return False
    return True if value in ("y", "m") else value


def _cpuinfo() -> dict[str, str]:
    """Return the first CPU's block of /proc/cpuinfo."""
    block: dict[str, str] = {}
    for line in (_read(_PROC / "cpuinfo") or "").splitlines():
        if not line.strip():
            break
        name, _, value = line.partition(":")
        block[name.strip()] = value.strip()
    return block


def _caches() -> dict[str, str]:
    found: dict[str, str] = {}
    for index in sorted((_SYS / "devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_read(index / name) for name in ("level", "type", "size"))
        if level and kind and size:
            suffix = {"Data": "d", "Instruction": "i"}.get(kind, "")
            found[f"L{level}{suffix}"] = size
    return found


def _online_topology() -> tuple[int | None, int | None]:
    """Return (sockets, threads per core), None where the kernel does not say."""
    sockets: set[str] = set()
    threads: int | None = None
    for cpu in (_SYS / "devices/system/cpu").glob("cpu[0-9]*"):
        package = _read(cpu / "topology/physical_package_id")
        if package is not None:
            sockets.add(package)
        siblings = _read(cpu / "topology/thread_siblings_list")
        if siblings:
            threads = max(threads or 0, _count_list(siblings))
    return len(sockets) or None, threads


def _count_list(text: str) -> int:
    """Return how many numbers a kernel list like ``0-3,8`` holds."""
    count = 0
    for part in text.split(","):
        low, _, high = part.partition("-")
        count += int(high or low) - int(low) + 1
    return count


def _cpu() -> dict[str, Any]:
    info = _cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    sockets, threads = _online_topology()
    return {
        "model": info.get("model name") or info.get("CPU part") or "unknown",
        "vendor": info.get("vendor_id") or info.get("CPU implementer") or "unknown",
        "architecture": platform.machine(),
        "count": os.cpu_count(),
        "usable": len(os.sched_getaffinity(0)),
        "sockets": sockets,
        "numa_nodes": len(list((_SYS / "devices/system/node").glob("node[0-9]*"))) or None,
        "threads_per_core": threads,
        "caches": _caches(),
        "flags_of_interest": [flag for flag in _FLAGS_OF_INTEREST if flag in flags],
    }


def _virtualisation() -> str:
    tool = shutil.which("systemd-detect-virt")
    if tool:
        try:
            said = subprocess.run(
                [tool, "--vm"], capture_output=True, text=True, check=False, timeout=10
            ).stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            said = ""
        if said:
            return said
    if "hypervisor" in (_cpuinfo().get("flags") or "").split():
        return _read(_SYS / "hypervisor/type") or "unknown hypervisor"
    return "none seen"


def _mitigations() -> dict[str, str]:
    folder = _SYS / "devices/system/cpu/vulnerabilities"
    found = ((path.name, _read(path)) for path in sorted(folder.glob("*")))
    return {name: text for name, text in found if text and text != "Not affected"}


def _thp() -> str | None:
    """Return the chosen word of ``always [madvise] never``."""
    text = _read(_SYS / "kernel/mm/transparent_hugepage/enabled")
    if text is None or "[" not in text:
        return None
    return text.partition("[")[2].partition("]")[0]


def _memory_kib() -> int | None:
    for line in (_read(_PROC / "meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1])
    return None


def scheduler_counters() -> dict[str, int | None]:
    """Return the machine's counters since boot.

    Returns
    -------
    dict
        ``context_switches`` and ``steal`` (clock ticks the hypervisor gave to others, all CPUs
        together); None where /proc/stat does not have them.
    """
    counters: dict[str, int | None] = {"context_switches": None, "steal": None}
    for line in (_read(_PROC / "stat") or "").splitlines():
        words = line.split()
        if words[0] == "ctxt":
            counters["context_switches"] = int(words[1])
        elif words[0] == "cpu" and len(words) > 8:
            counters["steal"] = int(words[8])
    return counters


def load_average() -> list[float]:
    """Return the load averages of 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def machine_state() -> dict[str, Any]:
    """Return the machine as it is now, in the form of the document's ``machine``.

    Nothing in it names the host, a user or an address, so that a run can be published.

    Returns
    -------
    dict
        See ``schema.json``, ``$defs/machine``. ``load_after`` and ``steal.after`` are None: they
        are filled in when a run has ended. Memory in KiB, steal in clock ticks since boot.
    """
    uname = platform.uname()
    facts, source = kernel_config(uname.release)
    cpu0 = _SYS / "devices/system/cpu/cpu0"
    return {
        "kernel": {
            "release": uname.release,
            "version": uname.version,
            "config": facts,
            "config_source": source,
        },
        "cpu": _cpu(),
        "governor": _read(cpu0 / "cpufreq/scaling_governor"),
        "virtualisation": _virtualisation(),
        "mitigations": _mitigations(),
        "thp": _thp(),
        "memory_kib": _memory_kib(),
        "load_before": load_average(),
        "load_after": None,
        "steal": {"before": scheduler_counters()["steal"], "after": None},
        "clocksource": _read(_SYS / "devices/system/clocksource/clocksource0/current_clocksource"),
    }
