"""The claims of December 2020 and the rule of 2006, each held against the model.

The claims are those of the mail of 22 December 2020 that answered "why not downgrade mmap_lock in
mprotect?" (Message-ID X+JMiHv+EktzyZgr@redhat.com), in other words. The rule is from a patch of 2006
for remap_file_pages: downgrade only where more than 8 pages change (preemptible kernel), or more
than 1024. Every number is computed here from a machine's profile; the scenarios in which it is
computed are assumed, and each answer says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError
from perfmodel.hold import Hold, facts, hold
from perfmodel.kernel import Kernel
from perfmodel.machine import Machine
from perfmodel.prediction import DRAWS, predict
from perfmodel.presets import preset
from perfmodel.results import LEVEL
from perfmodel.scenario import TRANSITIONS, Call, Policy, Scenario
from perfmodel.stale_tlb import SCOPE, safety
from perfmodel.verdict import CUTS, time_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Claim", "ClaimTable", "Number", "evaluate_claims"]

SCHEMA = "perfmodel.claims/1"

#: One release of each way in which mprotect walks its VMAs: linked list and a flush for each; found
#: anew each time and one flush; iterator, one flush and per-VMA locks.
ERAS = ("5.11", "6.1", "6.18")

#: What the claims and the rule say themselves.
HALF_A_MICROSECOND = 500.0
RULE_OF_2006 = (8, 1024)

#: Where the claims leave a number open [assumed]: VMAs of a call, and faults with I/O.
VMAS = 8
PAGES_OF_A_VMA = 64
IO_SHARE, IO_US = 0.01, 100.0

#: Calls in each arm up to which an effect counts as seen with ease [assumed].
EASY = 10_000


@dataclass(frozen=True)
class Number:
    """One number of an answer.

    Parameters
    ----------
    what : str
    value, low, high : float
        Estimate and 90 % interval; NaN bounds where there is nothing to vary.
    unit : str
        ``ns``, ``1/s``, or ``1`` for a pure number.
    basis : {"measured", "derived", "assumed"}
        The weakest thing it rests on: constants measured on the machine; rules read in the
        kernel's source and formulas derived; a scenario or constant that was assumed.
    """

    what: str
    value: float
    low: float
    high: float
    unit: str
    basis: str


@dataclass(frozen=True)
class Claim:
    """One claim and the model's answer.

    Parameters
    ----------
    name : str
        ``C1`` to ``C6``, or ``2006``.
    claim : str
        In other words than the mail's.
    verdict : {"holds", "holds in part", "does not hold"}
    brief, answer : str
        In one sentence for a table, and in full; both with numbers.
    where : str
        Where the answer holds.
    rests_on : str
        What is measured, derived and assumed in it.
    numbers : tuple of Number
    """

    name: str
    claim: str
    verdict: str
    brief: str
    answer: str
    where: str
    rests_on: str
    numbers: tuple[Number, ...]


@dataclass(frozen=True, eq=False)
class ClaimTable:
    """All claims, evaluated on one machine.

    Parameters
    ----------
    machine : Machine
    claims : tuple of Claim
    """

    machine: Machine
    claims: tuple[Claim, ...]

    def __getitem__(self, name: str) -> Claim:
        for claim in self.claims:
            if claim.name == name:
                return claim
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; what is unknown is None."""
        return {
            "schema": SCHEMA,
            "machine": {"name": self.machine.name, "evidence": self.machine.evidence,
                        "sha256": self.machine.sha256},
            "level": LEVEL,
            "claims": [
                asdict(c) | {"numbers": [
                    {k: None if isinstance(v, float) and not math.isfinite(v) else v
                     for k, v in asdict(n).items()}
                    for n in c.numbers
                ]}
                for c in self.claims
            ],
        }  # fmt: skip


class _Bench:
    """What the claims are evaluated with: a machine, its draws, and the numbers noted so far."""

    def __init__(self, machine: Machine, draws: int, seed: int) -> None:
        self.machine, self.draws, self.seed = machine, draws, seed
        self.constants = machine.draws(draws, seed=seed)
        self.noted: list[Number] = []

    def scenario(self, name: str, kernel: str | None = None, **changes: Any) -> Scenario:
        made = Scenario.from_dict(preset(name).parameters, machine=self.machine)
        return made.replace(**({"kernel": Kernel(kernel)} if kernel else {}), **changes)

    def hold(self, scenario: Scenario, policy: Policy) -> Hold:
        return hold(scenario, policy, self.constants)

    def gains(self, scenario: Scenario, *policies: Policy) -> list[NDArray[np.float64]]:
        """Return the net gain a call of each policy over the draws."""
        found = predict(scenario.replace(policies=(Policy.NONE, *policies)), draws=self.draws,
                        seed=self.seed, levels=(), solver="closed", guards=False)  # fmt: skip
        return [found[p].net_gain for p in policies]

    def note(
        self, what: str, values: Any, unit: str, basis: str,
        put: Callable[[float], str] = time_text,
    ) -> str:  # fmt: skip
        """Keep a number and return it as a person would quote it, with its interval."""
        drawn = np.asarray(values, dtype=float).reshape(-1)
        known = drawn[np.isfinite(drawn)]
        value = float(drawn[0])
        low = high = math.nan
        if math.isfinite(value) and known.size > 2 and np.ptp(known) > 0:
            low, high = map(float, np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
        self.noted.append(Number(what, value, low, high, unit, basis))
        if not math.isfinite(value):
            return "unknown"
        text = put(value)
        if math.isfinite(low) and (put(low), put(high)) != (text, text):
            text += f" [{put(low)}, {put(high)}]"
        return text

    def claim(
        self,
        name: str,
        claim: str,
        verdict: str,
        brief: str,
        answer: str,
        where: str,
        rests_on: str,
    ) -> Claim:
        numbers, self.noted = tuple(self.noted), []
        return Claim(name, claim, verdict, brief, answer, where, rests_on, numbers)


def _percent(value: float) -> str:
    size = 100 * abs(value)
    return f"{100 * value:.0f} %" if size >= 10 else f"{100 * value:.2g} %"


def _count(value: float) -> str:
    if not math.isfinite(value):
        return "no number"
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def _calls(value: float) -> str:
    return _count(max(1.0, math.ceil(value))) if math.isfinite(value) else "no number of"


def _found_again(held: Hold) -> NDArray[np.float64]:
    return np.asarray(sum(p.ns for p in held.phases if p.name == "find"))


def _dropped_lock(bench: _Bench) -> Claim:
    """Return C1: the lock must be dropped for every VMA but the last."""
    parts, pays, short = [], [], []
    for release in ERAS:
        shape = {"pages": VMAS * PAGES_OF_A_VMA, "vmas": VMAS}
        loaded = bench.scenario("large", release, **shape)
        alone = loaded.replace(remote_cpus=0)
        every, none = bench.hold(alone, Policy.EVERY_VMA), bench.hold(alone, Policy.NONE)
        again = [int(facts(alone.kernel, alone.call, p, 0)["refinds"])
                 for p in (Policy.EVERY_VMA, Policy.NONE)]  # fmt: skip
        finding = bench.note(f"{release}: finding VMAs again, a call",
                             _found_again(every) - _found_again(none), "ns", "measured")  # fmt: skip
        whole = bench.note(f"{release}: a call alone, longer by", every.call - none.call, "ns",
                           "measured")  # fmt: skip
        (gain,) = bench.gains(loaded, Policy.EVERY_VMA)
        gained = bench.note(f"{release}: net gain of every-vma, {loaded.faults.threads} threads", gain,
                            "ns", "assumed")  # fmt: skip
        pays.append(float(gain[0]) > 0)
        finds = f"finding {again[0] - again[1]} of {VMAS} VMAs again {finding}"
        if again[1]:
            finds = f"mainline finds {again[1]} VMAs again anyway, so that costs nothing more"
            short.append(f"{release} does so anyway")
        else:
            short.append(
                f"{release}: {finding} a call to find {again[0]} VMAs again, gain {gained}"
            )
        parts.append(
            f"{release}: {finds}; the call alone {whole} longer, net gain under faults {gained}"
        )
    return bench.claim(
        "C1",
        "For every VMA but the last the lock must be dropped and taken again, and the next VMA found"
        " again: a severe cost.",
        "holds in part" if any(pays) else "holds",
        "; ".join(short),
        "The VMA must be found again, except where mainline did so anyway. What it costs against what"
        f" it gives: {'; '.join(parts)}.",
        f"{VMAS} VMAs of {PAGES_OF_A_VMA} pages; each section taken as independent; longer alone"
        " includes a flush for each VMA where the release has one for all",
        "measured: find_vma, vma_step, locked operation, flush; derived: what is found again, from"
        " mm/mprotect.c; assumed: the faults of preset large",
    )


def _last_vma(bench: _Bench) -> Claim:
    """Return C2: only the last VMA is cheap."""
    parts, short, again = [], [], []
    for release in (ERAS[0], ERAS[-1]):
        one = bench.scenario("large", release, pages=PAGES_OF_A_VMA, remote_cpus=0)
        cost = bench.hold(one, Policy.LAST_VMA).call - bench.hold(one, Policy.NONE).call
        price = bench.note(f"{release}: a call alone, longer by", cost, "ns", "measured")
        loaded = bench.scenario("large", release, pages=VMAS * PAGES_OF_A_VMA, vmas=VMAS)
        last, every = bench.gains(loaded, Policy.LAST_VMA, Policy.EVERY_VMA)
        share = last / every
        again.append(facts(loaded.kernel, loaded.call, Policy.LAST_VMA, 0)["refinds"])
        flush = (
            "a flush for each VMA" if loaded.kernel.flush_in_loop else "one flush, after the cut"
        )
        part = bench.note(f"{release}: gain of the last VMA over that of every VMA", share, "1",
                          "assumed", _percent)  # fmt: skip
        parts.append(f"{release}: the cut costs {price} a call alone; with {VMAS} VMAs it gives {part} of"
                     f" what dropping the lock for every VMA would ({flush})")  # fmt: skip
        short.append(f"{release}: costs {price} a call, gives {part} of what all {VMAS} VMAs would"
                     f" ({flush})")  # fmt: skip
    return bench.claim(
        "C2",
        "Only for the last VMA could the lock be downgraded without finding anything again.",
        "does not hold" if any(again) else "holds",
        "; ".join(short),
        f"{'; '.join(parts)}. With one VMA the two are the same cut.",
        "few VMAs a call; the more there are, the less the last one is of it",
        "measured: locked operation; derived: the order of mm/mprotect.c; assumed: the faults of"
        " preset large",
    )


def _stalled_writer(bench: _Bench) -> Claim:
    """Return C3: the writer has been stalled already, and the gain drowns in that."""
    from perfmodel.equations.drain import drain_open, drain_open_two_class
    from perfmodel.equations.noise import calls_to_detect

    parts, short, needed = [], [], []
    for pages in (1, bench.scenario("large").call.pages):
        scenario = bench.scenario("mail", pages=pages)
        rate, held = scenario.faults.rate_per_ns, bench.hold(scenario, Policy.LAST_VMA)
        mu = 1.0 / bench.constants["fault_hold"]
        for io in (0.0, IO_SHARE):
            wait = drain_open_two_class(rate, mu, io, IO_US * 1e3) if io else drain_open(rate, mu)
            seen = calls_to_detect(rate, held.exclusive, held.shared, wait.mean, wait.second)
            label = f"{pages} page{'s' if pages > 1 else ''}"
            label += f", {_percent(io)} of the faults in I/O" if io else ""
            stalled = bench.note(f"{label}: wait of the writer", wait.mean, "ns", "assumed")
            cv = np.sqrt(wait.second - wait.mean**2) / wait.mean
            varies = bench.note(f"{label}: variation of that wait", cv, "1", "assumed", _count)
            effect = bench.note(f"{label}: share of the blocked time saved", seen.effect, "1",
                                "assumed", _percent)  # fmt: skip
            naive = bench.note(f"{label}: calls an arm, means compared", seen.calls, "1", "assumed",
                               _calls)  # fmt: skip
            knowing = bench.note(f"{label}: calls an arm, each wait recorded", seen.calls_controlled,
                                 "1", "assumed", _calls)  # fmt: skip
            needed.append(float(seen.calls[0]))
            parts.append(
                f"{label}: the writer waits {stalled} (cv {varies}); the cut saves {effect} of the"
                f" blocked time; calls an arm to see it: {naive}, or {knowing} if each wait is recorded"
            )
            short.append(f"{label}: {effect} saved, calls an arm to see it: {naive}")
    lost = [n > EASY for n in needed]
    return bench.claim(
        "C3",
        "The writer has already been stalled by readers and their I/O when it gets the lock: what the"
        " downgrade saves is lost in that.",
        "holds" if all(lost) else "holds in part" if any(lost) else "does not hold",
        "; ".join(short),
        f"{'; '.join(parts)}. The claim is taken to hold where more than {EASY:,} calls are needed.",
        f"open stream of {bench.scenario('mail').faults.rate:g} faults/s; the wait varies by several times"
        " its mean and the counts were checked up to 1.5 of it: with I/O they are of the right size only",
        "measured: hold, fault; derived: moments of the wait and of the blocked time; assumed: fault"
        f" rate, {_percent(IO_SHARE)} of faults in I/O of {time_text(IO_US * 1e3)}",
    )


def _more_operations(bench: _Bench) -> Claim:
    """Return C4: half again as many locked operations."""
    from perfmodel.equations.cacheline import line_utilisation, throughput_ratio

    cpus, transfer = bench.scenario("mail").cpus, bench.constants["line_transfer"]
    thinks = {"a full line": 0.0, "a line with time to spare": 20e3}
    parts, added, short = [], [], []
    kernels = {**{r: Kernel(r) for r in ("5.11", "6.12", "6.18")},
               "6.18 without DETECT_HUNG_TASK_BLOCKER": Kernel("6.18", False)}  # fmt: skip
    for name, kernel in kernels.items():
        before, after = kernel.locked_ops("write"), kernel.locked_ops("downgrade")
        added.append(after / before - 1)
        more = bench.note(f"{name}: locked operations of a call, more by", added[-1], "1", "derived",
                          _percent)  # fmt: skip
        costs = []
        for line, think in thinks.items():
            ops = float(kernel.locked_ops("read"))
            busy = line_utilisation(cpus, think, ops, transfer)
            at = bench.note(f"{name}, {line}: busy", busy, "1", "assumed", _percent)
            of_mix = []
            for share, called in (
                (1.0, "calls alone"),
                (0.5, "half of them calls"),
                (0.001, "1 call in 1000"),
            ):
                ratio = throughput_ratio(cpus, think, transfer, share, fault_ops=ops,
                                         call_ops=float(before), extra_ops=float(after - before))  # fmt: skip
                loss = bench.note(f"{name}, {line}, {called}: throughput lost", 1 - ratio, "1",
                                  "assumed", _percent)  # fmt: skip
                of_mix.append(f"{loss} with {called}")
            if name in (ERAS[0], ERAS[-1]):
                costs.append(f"{line} (faults alone keep it {at} busy) loses {', '.join(of_mix)}")
                if not think:
                    short.append(f"{name}: {more} more; {line} loses {of_mix[-1]}, {of_mix[0]}")
        parts.append(f"{name}: {more} more operations" + (f"; {'; '.join(costs)}" if costs else ""))
    return bench.claim(
        "C4",
        "A downgrade makes half again as many locked operations on the lock.",
        "holds" if len(set(added)) == 1 else "holds in part",
        "; ".join(short),
        f"{'. '.join(parts)}.",
        f"uncontended operations; throughput of {cpus} CPUs that do nothing else between two passes",
        "derived: operations counted in kernel/locking/rwsem.c, closed queue of the line; measured:"
        " line transfer between two CPUs, taken for any two; assumed: mixes and think times",
    )


def _half_a_microsecond(bench: _Bench) -> Claim:
    """Return C5: half a microsecond is what faults could gain."""
    mail, large = bench.scenario("mail"), bench.scenario("large")
    size = f"{large.call.pages * 4 // 1024} MiB"
    cases = {
        "1 page, alone": (mail, "measured"),
        "1 page, one other CPU to flush": (mail.replace(remote_cpus=1), "measured"),
        f"{size}, alone": (large.replace(remote_cpus=0), "measured"),
        f"{size}, {large.cpus - 1} other CPUs to flush": (
            large.replace(remote_cpus=large.cpus - 1), "assumed",
        ),
    }  # fmt: skip
    parts, sizes = [], []
    for what, (scenario, basis) in cases.items():
        shared = bench.hold(scenario, Policy.LAST_VMA).shared
        sizes.append(float(shared[0]))
        text = bench.note(f"{what}: shared after the cut", shared, "ns", basis)
        parts.append(f"{what} {text}")
    answer = predict(mail.replace(policies=(Policy.NONE,)), draws=bench.draws, seed=bench.seed,
                     levels=(), solver="closed", guards=False)[Policy.NONE].answer  # fmt: skip
    with np.errstate(all="ignore"):
        each = (answer.blocked_time + answer.wake_time) / answer.blocked
    stalled = bench.note("1 page: time lost by a fault that is blocked", each, "ns", "assumed")
    ratio = max(sizes) / HALF_A_MICROSECOND
    bench.note("largest of these over half a microsecond", ratio, "1", "assumed", _count)
    right = 0.5 < sizes[0] / HALF_A_MICROSECOND < 2
    verdict = ("holds in part" if ratio > 2 else "holds") if right else "does not hold"
    return bench.claim(
        "C5",
        "About half a microsecond is what the faults could gain.",
        verdict,
        "; ".join(parts[:-1]),
        f"What the cut shares: {'; '.join(parts)}: up to {_count(ratio)} times the claim. A fault that"
        f" is blocked at 1 page loses {stalled}, its sleep included.",
        "the mail's own case within a factor of two; neither large ranges nor shootdowns"
        if right else "not on this machine",
        "measured: walk, flush, shootdown of one CPU, wake-up; derived: the cut's phases; assumed: each"
        " further CPU of a shootdown, fault rate",
    )  # fmt: skip


def _unsafe(bench: _Bench) -> Claim:
    """Return C6: the stale TLB forbids it."""
    refused: dict[str, list[str]] = {}
    for release in ERAS:
        for transition in TRANSITIONS:
            call = Call("mprotect", transition=transition, populated=1.0)
            if not all(safety(Kernel(release), call, cut).safe for cut in CUTS):
                refused.setdefault(release, []).append(transition)
    bench.note("releases in which some cut of mprotect is refused", len(refused), "1", "derived",
               _count)  # fmt: skip
    free = [release for release in ERAS if release not in refused]
    first = next(iter(refused), ERAS[0])
    why = safety(Kernel(first), Call(transition="RW->R"), CUTS[0])
    verdict = "holds" if not free else "holds in part" if refused else "does not hold"
    told = {tuple(v): [r for r in refused if refused[r] == v] for v in refused.values()}
    said = "; ".join(
        f"{', '.join(releases)}: some cut is broken for {', '.join(changes)}"
        for changes, releases in told.items()
    )
    rest = f"{', '.join(free)}: nobody in the model breaks a cut" if free else ""
    answer = "; ".join(part for part in (said, rest) if part)
    return bench.claim(
        "C6",
        "It is unsafe: under the read lock a fault may act on an entry whose stale translations are"
        " not flushed yet.",
        verdict,
        answer,
        f"{answer}. RW->R on {first}: {why.reason}. Since 5.19 a page that is exclusive to the process is"
        " reused and not copied (PG_anon_exclusive), and mprotect flushes where another flush is"
        " pending.",
        SCOPE,
        f"derived: every interleaving of a model of the kernel's rules explored ({why.basis}); nothing"
        " measured",
    )


def _rule_of_2006(bench: _Bench, draws: int) -> Claim:
    """Return the rule of 2006 against where the model's answer turns."""
    from perfmodel.breakeven import break_even

    mail = bench.scenario("mail")
    over = break_even(mail, "pages", policy=Policy.LAST_VMA, points=13, draws=2)
    usual = f"{mail.faults.rate:g} faults/s"
    parts = []
    if over.answer == "turns":
        at = ", ".join(f"{r.pays} {_count(r.value)} pages" for r in over.roots)
        parts.append(f"at {usual} the cut gains {at}")
    else:
        parts.append(f"at {usual} the cut {over.answer} gains, from {over.grid[0]:g} to"
                     f" {over.grid[-1]:,.0f} pages")  # fmt: skip
    rates = []
    for pages in (1, *RULE_OF_2006):
        found = break_even(mail.replace(pages=pages), "fault_rate", policy=Policy.LAST_VMA, points=25,
                           draws=draws)  # fmt: skip
        what = f"{pages} page{'s' if pages > 1 else ''}"
        if found.answer != "turns":
            parts.append(
                f"{what}: {found.answer} from {found.grid[0]:,.0f} to"
                f" {found.grid[-1]:,.0f} faults/s"
            )
            rates.append(0.0 if found.answer == "always" else math.inf)
            continue
        root = found.roots[0]
        rates.append(root.value)
        bench.noted.append(Number(f"{what}: gains above", root.value, root.low, root.high, "1/s",
                                  "assumed"))  # fmt: skip
        span = f" [{_count(root.low)}, {_count(root.high)}]" if math.isfinite(root.low) else ""
        parts.append(f"{what}: gains {root.pays} {_count(root.value)}{span} faults/s")
    assert mail.faults.rate is not None
    cautious = rates[0] < mail.faults.rate
    return bench.claim(
        "2006",
        f"Downgrade only where more than {RULE_OF_2006[0]} pages change (preemptible kernel), or more"
        f" than {RULE_OF_2006[1]} (not preemptible).",
        "does not hold" if cautious else "holds in part",
        "; ".join(parts),
        f"No number of pages by itself: {'; '.join(parts)}. A threshold of pages is right for one rate"
        " of faults; what counts is faults a second times the time shared.",
        "were it safe; one caller, an open stream of faults, 5.11, no other CPU to flush",
        "measured: hold, wake-up, line; derived: the account of a call; assumed: the caller's pace and"
        " the stream of faults",
    )


def evaluate_claims(machine: Machine | str, *, draws: int = DRAWS, seed: int = 0) -> ClaimTable:
    """Hold every claim against the model.

    Parameters
    ----------
    machine : Machine or str
        Costs, or the name or path of a profile.
    draws : int
        Draws behind the intervals.
    seed : int
        Seed of the draws.

    Returns
    -------
    ClaimTable

    Raises
    ------
    InputError
        If the number of draws is not positive, or there is no such profile.
    """
    if draws < 1:
        raise InputError(f"{draws!r} is out of range", field="draws", expected="at least 1")
    bench = _Bench(Machine.load(machine) if isinstance(machine, str) else machine, draws, seed)
    makers: Sequence[Callable[[_Bench], Claim]] = (
        _dropped_lock, _last_vma, _stalled_writer, _more_operations, _half_a_microsecond, _unsafe,
    )  # fmt: skip
    claims = [make(bench) for make in makers]
    claims.append(_rule_of_2006(bench, min(draws, 100)))
    return ClaimTable(bench.machine, tuple(claims))
