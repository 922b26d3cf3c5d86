"""A trace instance of our own under tracefs, which is gone afterwards whatever happens."""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from perfmodel.errors import MeasureError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EVENTS", "TraceInstance", "trace_instance"]

EVENTS = ("mmap_lock_start_locking", "mmap_lock_acquire_returned", "mmap_lock_released")
_PREFIX = "perfmodel-"
_STANDARD_PLACES = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))


class TraceInstance:
    """One folder under ``tracefs/instances`` with the mmap_lock events on.

    Parameters
    ----------
    folder : Path
        The instance. It must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = "mono"

    def write(self, name: str, value: str) -> None:
        """Write one control file of the instance.

        Raises
        ------
        MeasureError
            If the kernel refuses; the message names the file and the value.
        """
        path = self.folder / name
        try:
            path.write_text(value, encoding="ascii")
        except OSError as error:
            raise MeasureError(
                f"The kernel refused {value!r} for {path}: {error.strerror or error}."
            ) from error

    def prepare(self, buffer_kib: int) -> None:
        """Choose clock and buffer, switch the three events on and start tracing.

        Parameters
        ----------
        buffer_kib : int
            Buffer of each CPU, KiB.

        Raises
        ------
        MeasureError
            If this kernel has no mmap_lock events or refuses a setting.
        """
        if not (self.folder / "events/mmap_lock").is_dir():
            raise MeasureError(
                "This kernel has no mmap_lock tracepoints (they came with 5.11 and need "
                "CONFIG_TRACEPOINTS and CONFIG_FTRACE); the trace group cannot run on it."
            )
        self.write("tracing_on", "0")
        clocks = (self.folder / "trace_clock").read_text(encoding="ascii").replace("[", "")
        # Ticks of the TSC are exact; the text of any other clock is cut to microseconds.
        self.clock = "x86-tsc" if "x86-tsc" in clocks.replace("]", "").split() else "mono"
        self.write("trace_clock", self.clock)
        self.write("buffer_size_kb", str(buffer_kib))
        with contextlib.suppress(MeasureError):  # older kernels lack it; hashed works as well
            self.write("trace_options", "nohash-ptr")
        for event in EVENTS:
            self.write(f"events/mmap_lock/{event}/enable", "1")
        self.write("tracing_on", "1")

    def stop(self) -> None:
        """Stop tracing; what was captured stays."""
        self.write("tracing_on", "0")

    def lost(self) -> int:
        """Return how many events the buffers lost, all CPUs together."""
        total = 0
        for stats in self.folder.glob("per_cpu/cpu*/stats"):
            for line in stats.read_text(encoding="ascii").splitlines():
                name, _, value = line.partition(":")
                if name in ("overrun", "dropped events"):
                    total += int(value)
        return total

    def lines(self, tids: frozenset[int]) -> Iterator[str]:
        """Yield the captured text: header lines, and those of the given tasks.

        Lines of other tasks are left out: they are nobody's business and not needed.

        Parameters
        ----------
        tids : frozenset of int
            Thread ids to keep.
        """
        marks = tuple(f"-{tid}" for tid in tids)
        with (self.folder / "trace").open(encoding="utf-8", errors="replace") as text:
            for line in text:
                task = line.partition("[")[0].rstrip()
                if line.startswith(("#", "CPU:")) or task.endswith(marks):
                    yield line

    def remove(self) -> None:
        """Switch everything off and remove the instance.

        Raises
        ------
        MeasureError
            If it is still there afterwards (something holds one of its files open).
        """
        if not self.folder.is_dir():
            return
        for name in ("tracing_on", "events/enable"):
            with contextlib.suppress(MeasureError):
                self.write(name, "0")
        reason: object = "unknown"
        for _ in range(20):
            try:
                self.folder.rmdir()
            except FileNotFoundError:
                return
            except OSError as error:  # busy while a reader lets go of a file
                reason = error.strerror or error
                time.sleep(0.05)
            else:
                return
        raise MeasureError(
            f"The trace instance {self.folder} could not be removed: {reason}. Tracing in it is "
            f"off; remove it by hand with: rmdir {self.folder}"
        )


def _mounted_tracefs() -> Path | None:
    """Return where tracefs is mounted, or None."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) > 2 and words[2] == "tracefs":
            return Path(words[1])
    # debugfs mounts it by itself on the first look into the folder.
    return next((place for place in _STANDARD_PLACES if (place / "instances").is_dir()), None)


@contextlib.contextmanager
def _tracefs() -> Iterator[Path]:
    """Give the place of tracefs; mount it for the time being if nobody has."""
    place = _mounted_tracefs()
    if place is not None:
        yield place
        return
    place = _STANDARD_PLACES[0]
    mount = ["mount", "-t", "tracefs", "nodev", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MeasureError(
            f"tracefs is not mounted and could not be mounted on {place}: {done.stderr.strip()}. "
            "The kernel may be built without CONFIG_FTRACE, or locked down."
        )
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], capture_output=True, check=False)


def _remove_stale(instances: Path) -> None:
    """Remove what a killed run left: instances of ours whose process is gone."""
    for folder in instances.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX)
        if pid.isdigit() and not Path("/proc", pid).exists():
            with contextlib.suppress(MeasureError):
                TraceInstance(folder).remove()


@contextlib.contextmanager
def trace_instance(*, buffer_kib: int = 32768) -> Iterator[TraceInstance]:
    """Give a prepared trace instance, and remove it on every way out.

    Parameters
    ----------
    buffer_kib : int
        Buffer of each CPU, KiB.

    Yields
    ------
    TraceInstance
        Tracing, with the three mmap_lock events on.

    Raises
    ------
    MeasureError
        If the user is not root, tracefs cannot be had, or the kernel lacks the events.
    """
    if os.geteuid() != 0:
        raise MeasureError(
            "Tracing needs root: the mmap_lock tracepoints are read through tracefs. "
            "Run this group with sudo; all other groups work without."
        )
    with _tracefs() as place:
        _remove_stale(place / "instances")
        instance = TraceInstance(place / "instances" / f"{_PREFIX}{os.getpid()}")
        try:
            instance.folder.mkdir()
        except OSError as error:
            raise MeasureError(
                f"The trace instance {instance.folder} cannot be made: {error.strerror or error}."
            ) from error
        # If the interpreter ends while the generator is suspended, nobody closes it.
        atexit.register(_remove_quietly, instance)
        try:
            instance.prepare(buffer_kib)
            yield instance
        finally:
            instance.remove()
            atexit.unregister(_remove_quietly)


def _remove_quietly(instance: TraceInstance) -> None:
    with contextlib.suppress(MeasureError, OSError):
        instance.remove()
