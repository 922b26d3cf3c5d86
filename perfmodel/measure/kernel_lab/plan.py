"""What is run in the guests, in which order, under which cut."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfmodel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["CUTS", "GROUPS", "RACES", "Boot", "Plan", "Slice", "make_plan"]

#: Names of the cuts, in the order of the numbers the kernel knows them by.
CUTS = ("none", "k0", "k1", "every-vma")

#: stock: what the constants are fitted from, cut none only. calls, faults: under each cut. trace: the
#: mmap_lock tracepoints of a labelled load. races: the counterexamples, tried.
GROUPS = ("stock", "calls", "faults", "trace", "races")

#: The race programs, and the rule whose absence each one needs.
RACES = {
    "forced-write": "ignore_exclusive",
    "write-fault": "ignore_exclusive",
    "dontneed": "ignore_nested",
}

_RACE_CPUS = 3
_MOST_VCPUS = 8


@dataclass(frozen=True)
class Slice:
    """One program, run once, under one cut.

    Parameters
    ----------
    group : str
        One of `GROUPS`.
    cut : str
        One of `CUTS`.
    program : str
    arguments : tuple of str
    round : int
        Slices that differ in the cut only and have the same round are to be compared.
    limit_s : float, s
        Time after which the guest ends the program.
    trace : bool
        Whether it is given a trace instance.
    ignore_exclusive, ignore_nested : bool
        Rules of the kernel taken away, for races.
    """

    group: str
    cut: str
    program: str
    arguments: tuple[str, ...]
    round: int = 0
    limit_s: float = 60.0
    trace: bool = False
    ignore_exclusive: bool = False
    ignore_nested: bool = False

    def line(self, number: int) -> str:
        """Return the slice as a line of the guest's plan."""
        switches = (CUTS.index(self.cut), self.ignore_exclusive, self.ignore_nested)
        fields = [number, *map(int, switches), f"{self.limit_s:g}", int(self.trace), self.program]
        return "\t".join([*map(str, fields), *self.arguments])


@dataclass(frozen=True)
class Boot:
    """One boot of a guest.

    Parameters
    ----------
    number : int
        From 1.
    vcpus : int
    slices : tuple of Slice
        In the order they are run.
    """

    number: int
    vcpus: int
    slices: tuple[Slice, ...]

    def text(self) -> str:
        """Return the plan as the guest reads it."""
        return "".join(one.line(number) + "\n" for number, one in enumerate(self.slices))

    @property
    def limit_s(self) -> float:
        """The time after which something must be wrong, s."""
        return sum(one.limit_s for one in self.slices)


@dataclass(frozen=True)
class Plan:
    """All boots of a run."""

    boots: tuple[Boot, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _stock(vcpus: int, quick: bool, seed: int) -> list[Slice]:
    """Return what constants are fitted from: uncontended calls and faults, locked operations."""
    spinners = "0,1" if vcpus > 1 else "0"
    common = f"--populated 1 --huge 0 --spinners {spinners} --passes 1 --seed {seed}"
    few = "--max-samples 31 --min-samples 5 --budget-ms 20" if quick else "--budget-ms 40"
    pages = "1,512" if quick else "1,16,128,512,4096,16384"
    families = "rw_r,munmap" if quick else "rw_r,rw_none,same_flags,munmap,dontneed,uffd_wp"
    faults = f"--writer none --passes 1 --seed {seed} --point-ms {50 if quick else 150}"
    runs = [
        ("call_latency", f"--family {families} --shape own --pages {pages} {common} {few}"),
        ("call_latency", f"--family rw_r,munmap --shape edge,middle --pages 1,512 {common} {few}"),
        ("call_latency", f"--family rw_r,munmap --shape multi --quick {common} {few}"),
        ("fault_latency", faults),
        ("locked_op", "--quick"),
        ("wake", "--quick"),
    ]
    return [
        Slice("stock", "none", program, _words(words), round=seed, limit_s=180)
        for program, words in runs
    ]


def _call_points(vcpus: int, quick: bool) -> list[str]:
    spinners = "0,1" if vcpus > 1 else "0"
    common = f"--family rw_r --populated 1 --huge 0 --passes 1 --spinners {spinners}"
    if quick:
        return [f"{common} --shape own --pages 1,512 --max-samples 31 --budget-ms 20"]
    return [
        f"{common} --shape own --pages {pages} --budget-ms 30"
        for pages in ("1,16,512", "4096,16384")
    ] + [f"{common} --shape multi --pages 512 --vmas 4,16 --max-samples 51 --budget-ms 30"]


def _fault_points(vcpus: int, quick: bool) -> list[str]:
    """Return the points that are measured under each cut: an mprotect and faults beside it."""
    counts = [n for n in (1, 3) if n < vcpus]
    if quick:
        return [
            f"--writer mprotect --target {target} --shape own --faults read --pages 512"
            f" --duty-percent 50 --faulters {counts[-1]}"
            for target in ("other_vma", "same_vma")
        ] if counts else []  # fmt: skip
    points = []
    for n in counts:
        head = f"--writer mprotect --faults read --faulters {n}"
        for pages in (1, 16, 512, 4096, 16384):
            points += [
                f"{head} --target other_vma --shape own --pages {pages} --duty-percent {duty}"
                for duty in (10, 50)
            ]
        for vmas in (4, 16):
            points += [
                f"{head} --target other_vma --pages {pages} --vmas {vmas} --duty-percent 50"
                for pages in (16, 512, 4096)
            ]
        points += [
            f"{head} --target same_vma --shape own --pages {pages} --duty-percent 50"
            for pages in (1, 512, 4096, 16384)
        ]
    return points


def _control_points(vcpus: int, quick: bool) -> list[str]:
    """Return calls that the cuts do not touch: munmap downgrades, userfaultfd only reads."""
    counts = [n for n in (1, 3) if n < vcpus]
    pages = "512" if quick else "1,512,4096"
    return [
        f"--writer {writer} --faults read --target other_vma,same_vma --shape own,edge"
        f" --pages {pages} --duty-percent 50 --faulters {n}"
        for writer in ("munmap", "uffd_writeprotect")
        for n in (counts[-1:] if quick else counts)
    ]


def _interleaved(
    group: str,
    program: str,
    points: Sequence[str],
    cuts: Sequence[str],
    rounds: Iterable[int],
    more: Callable[[int], str],
    order: random.Random,
) -> list[Slice]:
    """Return each point under each cut, one cut right after the other, in a new order each round."""
    slices = []
    for number in rounds:
        for point in order.sample(points, len(points)):
            slices += [
                Slice(group, cut, program, _words(f"{point} {more(number)}"), round=number)
                for cut in order.sample(cuts, len(cuts))
            ]
    return slices


def _races(cuts: Sequence[str], quick: bool, seed: int) -> list[Slice]:
    """Return each race under each cut, with all rules of 6.1 and with the one taken away."""
    seconds = 3 if quick else 10
    return [
        Slice(
            "races", cut, "race",
            _words(f"--race {name} --seconds {seconds} --seed {seed}"),
            round=seed, limit_s=seconds + 60,
            ignore_exclusive=taken and rule == "ignore_exclusive",
            ignore_nested=taken and rule == "ignore_nested",
        )
        for name, rule in RACES.items()
        for taken in (False, True)
        for cut in cuts
    ]  # fmt: skip


def _noise(cuts: Sequence[str], when: str) -> list[Slice]:
    return [Slice("noise", cut, "noise", _words(f"--when {when} --watch-ms 300")) for cut in cuts]


def make_plan(
    *,
    quick: bool = False,
    cuts: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    vcpus: Sequence[int] = (2, 4),
    rounds: int | None = None,
    seed: int = 1,
) -> Plan:
    """Lay out a run: one boot for each number of vCPUs.

    Parameters
    ----------
    quick : bool
        A few points, once each: does everything work?
    cuts : sequence of str, optional
        Some of `CUTS`; default all. Groups "stock" and the controls are always of cut none, and
        left out if it is not among them.
    groups : sequence of str, optional
        Some of `GROUPS`; default all.
    vcpus : sequence of int
        Of each boot. Races need 3 or more and are left out of smaller ones.
    rounds : int, optional
        How often each point is measured under each cut. Default 2, quick 1.
    seed : int
        Of the order of points and cuts, and of the programs' pauses. Repeat with another one for a
        fresh boot.

    Raises
    ------
    InputError
        If a name is none of ours, a number is out of range, or nothing is left to run.
    """
    chosen = _some(cuts, CUTS, "cut")
    wanted = _some(groups, GROUPS, "group")
    for n in vcpus:
        if not 1 <= n <= _MOST_VCPUS:
            raise InputError(f"{n} vCPUs", field="vcpus", expected=f"1 to {_MOST_VCPUS}")
    count = rounds if rounds is not None else (1 if quick else 2)
    if count < 1:
        raise InputError(f"{count} rounds", field="rounds", expected="1 or more")
    boots = []
    for number, n in enumerate(vcpus, start=1):
        slices = _boot_slices(n, chosen, wanted, range(count), quick, seed + 1000 * number)
        if slices:
            noisy = [*_noise(chosen, "before"), *slices, *_noise(chosen, "after")]
            boots.append(Boot(number, n, tuple(noisy)))
    if not boots:
        raise InputError(
            f"groups {', '.join(wanted)} with cuts {', '.join(chosen)} leave nothing to run on"
            f" {', '.join(map(str, vcpus))} vCPUs",
            field="groups",
            expected="stock and trace with cut none; faults with 2 vCPUs, races with 3",
        )
    return Plan(tuple(boots))


def _boot_slices(
    vcpus: int,
    cuts: Sequence[str],
    groups: Sequence[str],
    rounds: Iterable[int],
    quick: bool,
    seed: int,
) -> list[Slice]:
    order = random.Random(seed)
    stock = "none" in cuts
    point_ms = 100 if quick else 300

    def faults(number: int) -> str:
        return f"--cross --passes 1 --point-ms {point_ms} --seed {seed + number}"

    slices: list[Slice] = []
    if "stock" in groups and stock:
        slices += _stock(vcpus, quick, seed)
    if "calls" in groups:
        points = _call_points(vcpus, quick)
        slices += _interleaved(
            "calls", "call_latency", points, cuts, rounds, lambda n: f"--seed {seed + n}", order
        )
    if "faults" in groups and vcpus > 1:
        points = _fault_points(vcpus, quick)
        slices += _interleaved("faults", "fault_latency", points, cuts, rounds, faults, order)
        if stock:
            points = _control_points(vcpus, quick)
            slices += _interleaved(
                "faults", "fault_latency", points, ["none"], rounds, faults, order
            )
    if "trace" in groups:
        # Populating a range is traced too, three lines a page: small ranges, or it takes minutes.
        words = _words("--quick --pages " + ("1,16" if quick else "1,16,64"))
        slices += [
            Slice("trace", cut, "traced_load", words, limit_s=120, trace=True) for cut in cuts
        ]
    if "races" in groups and vcpus >= _RACE_CPUS:
        slices += _races(cuts, quick, seed)
    return slices


def _some(given: Sequence[str] | None, known: Sequence[str], what: str) -> tuple[str, ...]:
    if given is None:
        return tuple(known)
    unknown = [name for name in given if name not in known]
    if unknown or not given:
        raise InputError(
            f"there is no {what} {', '.join(map(repr, unknown))}"
            if unknown
            else f"no {what} is named",
            field=f"{what}s",
            expected=f"some of {', '.join(known)}",
        )
    return tuple(name for name in known if name in given)
