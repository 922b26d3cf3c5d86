"""Boot the kernel in QEMU with a plan, and watch the port on which results leave."""

from __future__ import annotations

import functools
import gzip
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perfmodel.errors import MeasureError
from perfmodel.measure.kernel_lab.running import Log, group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ACCELERATORS", "Guest", "boot", "choose_accelerator", "initramfs"]

#: In the order they are tried.
ACCELERATORS = ("kvm", "tcg")

_MEMORY_MIB = 2048
#: Beside the time of the plan: firmware, kernel, power-off. Emulated on a busy host.
_BOOT_S = 120.0
#: For the empty boot. A KVM that only seems to work (nested, badly) starts a guest that never speaks.
_PROBE_S = {"kvm": 20.0, "tcg": 180.0}
_TRAILER = "TRAILER!!!"

#: tsc=reliable: an emulated TSC is not to be compared with an emulated timer and thrown away.
_COMMAND_LINE = "console=ttyS0 quiet panic=-1 oops=panic tsc=reliable no_timer_check"


@dataclass(frozen=True)
class Guest:
    """How guests are run here.

    Attributes
    ----------
    accelerator : {"kvm", "tcg"}
    qemu : str
        Version line of QEMU.
    """

    accelerator: str
    qemu: str


def _entry(name: str, mode: int, content: bytes, number: int) -> bytes:
    """Return one file of a cpio archive in the "newc" form the kernel unpacks."""
    encoded = name.encode() + b"\0"
    # No owner, no time stamp, no device: the same files give the same archive.
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    head += b"\0" * (-len(head) % 4)
    return head + content + b"\0" * (-len(content) % 4)


def initramfs(programs: Mapping[str, Path], plan: str) -> bytes:
    """Return a root file system: ``/init``, the other programs below ``/bin``, and the plan.

    Parameters
    ----------
    programs : mapping of str to Path
        Static programs by name; the one named ``init`` becomes the first process.
    plan : str
        Text of ``/plan``.
    """
    parts: list[bytes] = []
    for folder in ("bin", "dev", "proc", "sys"):
        parts.append(_entry(folder, 0o040755, b"", len(parts) + 1))
    for name, path in sorted(programs.items()):
        place = "init" if name == "init" else f"bin/{name}"
        parts.append(_entry(place, 0o100755, path.read_bytes(), len(parts) + 1))
    parts.append(_entry("plan", 0o100644, plan.encode("ascii"), len(parts) + 1))
    parts.append(_entry(_TRAILER, 0, b"", 0))
    return gzip.compress(b"".join(parts), compresslevel=1, mtime=0)


def _command(accelerator: str, vcpus: int, kernel: Path, initrd: Path, folder: Path) -> list[str]:
    kvm = accelerator == "kvm"
    # A guest told that its hypervisor flushes for vCPUs that are off would not send the interrupt.
    cpu = "host,kvm-pv-tlb-flush=off" if kvm else "qemu64"
    return [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-machine", "q35", "-accel", "kvm" if kvm else "tcg,thread=multi", "-cpu", cpu,
        "-smp", str(vcpus), "-m", str(_MEMORY_MIB),
        "-kernel", str(kernel), "-initrd", str(initrd), "-append", _COMMAND_LINE,
        "-serial", f"file:{folder / 'console'}",
        "-device", "virtio-serial-pci",
        "-chardev", f"file,id=results,path={folder / 'port'}",
        "-device", "virtserialport,chardev=results,name=perfmodel.results",
    ]  # fmt: skip


def boot(
    accelerator: str,
    vcpus: int,
    kernel: Path,
    archive: bytes,
    log: Log,
    *,
    limit_s: float,
    take: Callable[[bytes], None],
    boot_s: float = _BOOT_S,
) -> None:
    """Boot a guest and wait until it has powered off.

    Parameters
    ----------
    accelerator : {"kvm", "tcg"}
    vcpus : int
    kernel : Path
        The bzImage.
    archive : bytes
        From `initramfs`.
    log : Log
        Gets the console of the guest if it does not end well.
    limit_s : float, s
        Time for the plan; booting is granted further time.
    take : callable
        Given each whole line that leaves through the port, as it comes.
    boot_s : float, s
        That further time.

    Raises
    ------
    MeasureError
        If QEMU does not start or the guest does not end in time. QEMU is ended and its files are
        removed on every way out, KeyboardInterrupt included; lines that came were given to `take`.
    """
    with tempfile.TemporaryDirectory(prefix="perfmodel-guest-") as name:
        folder = Path(name)
        initrd, port, console = folder / "initrd", folder / "port", folder / "console"
        initrd.write_bytes(archive)
        port.touch()
        deadline = time.monotonic() + limit_s + boot_s
        command = _command(accelerator, vcpus, kernel, initrd, folder)
        rest = b""
        with group(command, log) as process, port.open("rb") as lines:
            while True:
                try:
                    status: int | None = process.wait(timeout=0.2)
                except subprocess.TimeoutExpired:
                    status = None
                *whole, rest = (rest + lines.read()).split(b"\n")
                for line in whole:
                    take(line)
                if status is not None:
                    break
                if time.monotonic() > deadline:
                    _keep_console(console, log)
                    raise MeasureError(
                        f"The guest with {vcpus} vCPUs under {accelerator} did not end within"
                        f" {limit_s + boot_s:.0f} s and was ended. Its console is in {log.path}."
                    )
        _keep_console(console, log)
        if status:
            raise MeasureError(
                f"QEMU under {accelerator} ended with status {status}. Log: {log.path}, which ends:\n"
                f"{log.tail()}"
            )


def _keep_console(console: Path, log: Log) -> None:
    if console.is_file():
        text = console.read_text(encoding="utf-8", errors="replace")
        said = [line for line in text.splitlines() if line.strip()]
        if said:
            log.write("console of the guest:\n" + "\n".join(f"  | {line}" for line in said))


@functools.cache
def qemu_version() -> str:
    """Return what QEMU calls itself."""
    said = subprocess.run(
        ["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=False, timeout=30
    ).stdout
    found = re.search(r"version (\S+)", said)
    return found[1] if found else "unknown"


def choose_accelerator(kernel: Path, init: Path, log: Log, tell: Callable[[str], None]) -> Guest:
    """Find out by an empty boot under what guests run here: KVM if it really works, else TCG.

    Raises
    ------
    MeasureError
        If a guest runs under neither.
    """
    why = ""
    for accelerator in ACCELERATORS:
        if accelerator == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
            log.write("no KVM: /dev/kvm is not there or not ours to use")
            continue
        tell(f"trying a boot under {accelerator.upper()}")
        seen: list[bytes] = []
        try:
            archive = initramfs({"init": init}, "")
            boot(
                accelerator, 2, kernel, archive, log, limit_s=0, take=seen.append,
                boot_s=_PROBE_S[accelerator],
            )  # fmt: skip
        except MeasureError as error:
            why = str(error)
            log.write(f"{accelerator}: {why}")
            continue
        if any(line.startswith(b'{"end"') for line in seen):
            return Guest(accelerator, qemu_version())
        why = f"the guest under {accelerator} ended without a word"
    raise MeasureError(f"No guest runs here: {why} Log: {log.path}")
