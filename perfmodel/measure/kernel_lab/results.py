"""What left the guest's port, sorted: records by slice, races, traces, and what went wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfmodel.measure.machine import CONFIG_FACTS

if TYPE_CHECKING:
    from perfmodel.measure.kernel_lab.plan import Boot, Slice

__all__ = ["BootResult", "SliceResult", "guest_machine"]

Record = dict[str, Any]


@dataclass
class SliceResult:
    """What one slice gave.

    Attributes
    ----------
    number : int
        Its place in the boot.
    plan : Slice
    records : list of dict
        Of the form of the measuring programs.
    races : list of dict
        Counts of a race program.
    trace : list of str
        Lines of its trace.
    trace_clock : dict or None
        Name and tick of the clock of the trace.
    problems : list of str
        What could not be measured, in the programs' words or ours.
    ended : bool
        Whether it ran to its end.
    """

    number: int
    plan: Slice
    records: list[Record] = field(default_factory=list)
    races: list[Record] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    trace_clock: dict[str, Any] | None = None
    problems: list[str] = field(default_factory=list)
    ended: bool = False


class BootResult:
    """The result of one boot, filled line by line.

    Parameters
    ----------
    boot : Boot
        What was asked for.
    """

    def __init__(self, boot: Boot) -> None:
        self.boot = boot
        self.files: dict[str, str] = {}
        self.slices: list[SliceResult] = []
        self.problems: list[str] = []
        self.ended = False
        self._said: list[str] = []

    @property
    def done(self) -> int:
        """How many slices have ended."""
        return sum(one.ended for one in self.slices)

    def take(self, line: bytes) -> None:
        """Sort one line into its place; one that is none of ours becomes a problem."""
        try:
            item = json.loads(line)
        except ValueError:
            item = None
        if not isinstance(item, dict) or not self._take(item):
            self._problem(f"a line from the guest is none of its own: {line[:80]!r}")

    def _problem(self, what: str) -> None:
        now = self._open
        (self.problems if now is None else now.problems).append(what)

    @property
    def _open(self) -> SliceResult | None:
        return self.slices[-1] if self.slices and not self.slices[-1].ended else None

    def _take(self, item: Record) -> bool:
        """Return whether the line is one that may come now."""
        now = self._open
        match item:
            case {"guest": {"file": str(name), "text": str(text)}}:
                self.files[name] = text
            case {"failed": str(why)}:
                self.problems.append(f"the guest gave up: {why}")
            case {"end": {"slices": int()}}:
                self.ended = True
            case {"slice": {"id": int(number)}} if now is None and 0 <= number < len(
                self.boot.slices
            ):
                self.slices.append(SliceResult(number, self.boot.slices[number]))
                self._said = []
            case {
                "slice_end": {"id": int(number), "status": int(status), "timed_out": bool(late)}
            } if now is not None and number == now.number:
                self._end(now, status, late)
            case _:
                return now is not None and self._take_inside(now, item)
        return True

    def _take_inside(self, now: SliceResult, item: Record) -> bool:
        """Return whether the line is one that comes within a slice."""
        match item:
            case {"said": str(text)}:
                self._said.append(text)
            case {"problem": what}:
                now.problems.append(str(what))
            case {"trace": str(text)}:
                now.trace.append(text)
            case {"trace_clock": dict(clock)}:
                now.trace_clock = clock
            case {"race": dict(counts)}:
                now.races.append(counts)
            case {"progress": _}:
                pass
            case {"benchmark": str(), "conditions": dict()}:
                now.records.append(item)
            case _:
                return False
        return True

    def _end(self, now: SliceResult, status: int, late: bool) -> None:
        if late:
            now.problems.append(f"{now.plan.program} took longer than {now.plan.limit_s:g} s")
        elif status:
            said = "; ".join(self._said[-3:]) or "it said nothing"
            now.problems.append(f"{now.plan.program} ended with wait status {status:#x}: {said}")
        now.ended = True

    def records(self, cut: str) -> list[Record]:
        """Return the records of a cut, each with the conditions it was taken under.

        ``cut``, ``slice`` (its number in the boot, so that order and neighbours are known),
        ``round`` and ``part`` (the group of the plan) are added to the program's conditions.
        """
        found = []
        for one in self._of(cut):
            more = {
                "cut": cut,
                "slice": one.number,
                "round": one.plan.round,
                "part": one.plan.group,
            }
            found += [{**r, "conditions": {**r["conditions"], **more}} for r in one.records]
        return found

    def _of(self, cut: str) -> list[SliceResult]:
        return [one for one in self.slices if one.plan.cut == cut]

    def traced(self, cut: str) -> SliceResult | None:
        """Return the traced slice of a cut."""
        return next((one for one in self._of(cut) if one.trace), None)

    def troubles(self, cut: str) -> list[tuple[str, str]]:
        """Return (group, what) of everything that went wrong with a cut, and with the boot."""
        found = [("boot", what) for what in self.problems]
        for one in self._of(cut):
            found += [(one.plan.group, f"slice {one.number}: {what}") for what in one.problems]
            if not one.ended:
                found.append((one.plan.group, f"slice {one.number} was cut off"))
        missing = sum(s.cut == cut for s in self.boot.slices) - len(self._of(cut))
        if missing:
            found.append(("boot", f"{missing} slices of cut {cut} were not begun"))
        return found

    def race_counts(self) -> list[Record]:
        """Return the counts of all races, each with what it was tried under."""
        return [
            {
                **counts,
                "cut": one.plan.cut,
                "ignore_exclusive": one.plan.ignore_exclusive,
                "ignore_nested": one.plan.ignore_nested,
                "vcpus": self.boot.vcpus,
                "boot": self.boot.number,
            }
            for one in self.slices
            for counts in one.races
        ]


def _first(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1].strip() if found else None


def guest_machine(
    files: Mapping[str, str], config: str, laboratory: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the guest in the form of a document's ``machine``.

    Parameters
    ----------
    files : mapping of str to str
        What the guest told of itself, by path.
    config : str
        The configuration its kernel was built with.
    laboratory : mapping
        What it ran in: accelerator, cut, and so on.

    Returns
    -------
    dict
        See ``schema.json``, ``$defs/machine``; None where the guest did not say.
    """
    version = files.get("/proc/version", "")
    cpuinfo = files.get("/proc/cpuinfo", "")
    options = dict(line.split("=", 1) for line in config.splitlines() if line.startswith("CONFIG_"))
    flags = (_first(r"^flags\s*: (.*)$", cpuinfo) or "").split()
    memory = _first(r"^MemTotal:\s+(\d+) kB$", files.get("/proc/meminfo", ""))
    load = files.get("/proc/loadavg", "").split()[:3]
    thp = _first(r"\[(\w+)\]", files.get("/sys/kernel/mm/transparent_hugepage/enabled", ""))
    clock = files.get("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    interesting = ("pcid", "invpcid", "constant_tsc", "nonstop_tsc", "rdtscp", "hypervisor")
    return {
        "kernel": {
            "release": _first(r"version (\S+)", version) or "unknown",
            "version": _first(r"(#\d+.*)$", version) or "unknown",
            "config": {fact: _option(options.get(name, "")) for fact, name in CONFIG_FACTS.items()},
            "config_source": "the laboratory's build",
        },
        "cpu": {
            "model": _first(r"^model name\s*: (.*)$", cpuinfo) or "unknown",
            "vendor": _first(r"^vendor_id\s*: (.*)$", cpuinfo) or "unknown",
            "architecture": "x86_64",
            "count": laboratory["vcpus"],
            "usable": laboratory["vcpus"],
            "sockets": None,
            "numa_nodes": None,
            "threads_per_core": None,
            "caches": {},
            "flags_of_interest": [flag for flag in interesting if flag in flags],
        },
        "governor": None,
        "virtualisation": f"QEMU {laboratory['accelerator']}",
        "mitigations": {},
        "thp": thp,
        "memory_kib": int(memory) if memory else None,
        "load_before": [float(x) for x in load] if len(load) == 3 else [0.0, 0.0, 0.0],
        "load_after": None,
        "steal": {"before": None, "after": None},
        "clocksource": clock.strip() if clock else None,
        "laboratory": dict(laboratory),
    }


def _option(value: str) -> bool | str:
    text = value.strip().strip('"')
    return text in ("y", "m") or text or False
