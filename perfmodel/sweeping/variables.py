"""What a sweep can give: the name, dimensions, unit and meaning of every variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from perfmodel.errors import InputError

__all__ = ["ANSWERS", "BOUNDS", "DEFAULT", "SOLVERS", "VARIABLES", "Variable", "chosen"]

#: Coordinate of an interval.
BOUNDS = ("low", "estimate", "high")

#: The verdict in its classes, in the order of the flags.
ANSWERS = ("unknown", "pays", "costs", "lost in the noise", "unsafe")

#: Who answered, in the order of the flags.
SOLVERS = ("closed form", "Markov chain", "simulation")


@dataclass(frozen=True)
class Variable:
    """One variable of the result.

    Parameters
    ----------
    name : str
    units : str
        Empty for a flag.
    meaning : str
    policy : bool
        Whether it has the dimension `policy`.
    drawn : bool
        Whether it follows the draws of the machine.
    flags : tuple of str
        Meanings of 0, 1, 2 ..., for a flag.
    boolean : bool
    """

    name: str
    units: str
    meaning: str
    policy: bool = True
    drawn: bool = True
    flags: tuple[str, ...] = ()
    boolean: bool = False

    @property
    def guarded(self) -> bool:
        """Whether it is of cuts with a guard, along their own dimension."""
        return self.name.startswith("guarded_")

    @property
    def bounded(self) -> bool:
        """Whether an interval is given of it, where there are draws."""
        return self.name in ("net_gain", "guarded_gain")

    @property
    def names_policy(self) -> bool:
        """Whether its flags are the policies, in the order of their dimension."""
        return self.name in ("verdict_policy", "best_safe_policy")


_ALL = (
    Variable("exclusive", "ns", "hold for writing of one call"),
    Variable("shared", "ns", "hold for reading of one call, after the downgrade"),
    Variable("call", "ns", "from entry to return of one call that need not wait"),
    Variable("acquire", "ns", "mean wait of the caller for the lock"),
    Variable("wait_mean", "ns", "mean wait of all faults"),
    Variable("wait_quantile", "ns", "quantile of the wait of all faults", drawn=False),
    Variable("blocked_share", "1", "share of the faults that are blocked"),
    Variable("fault_throughput", "1/s", "faults of the process"),
    Variable("call_throughput", "1/s", "calls of the process"),
    Variable("throughput_gain", "1", "change of the faults a second; unknown for an open stream"),
    Variable("lost_time", "ns", "thread time lost to one call"),
    Variable("net_gain", "ns", "thread time that the policy saves a call against no downgrade"),
    Variable("p_pays", "1", "share of the draws in which the policy gains", drawn=False),
    Variable("realised_share", "1", "share of the throughput gained that arrives on the CPUs there are",
             drawn=False),
    Variable("safe", "", "no actor of the stale-TLB model breaks the policy", drawn=False,
             boolean=True),
    Variable("inside_stated_region", "", "the answer is known and the stated error was checked here",
             drawn=False, boolean=True),
    Variable("stream_overrun", "", "one call blocks more faults of an open stream than there are CPUs:"
             " no stream goes on like that; give the number of threads", False, False, boolean=True),
    Variable("verdict", "", "verdict on the cut with the largest net gain", False, False, ANSWERS),
    Variable("verdict_if_safe", "", "the same if nothing forbade the cut", False, False, ANSWERS[:4]),
    Variable("verdict_policy", "", "the cut that was judged; none where nothing can be compared", False,
             False),
    Variable("best_safe_policy", "", "the policy with the largest net gain that is safe", False, False),
    Variable("share_of_thread_time", "1", "net gain of the judged cut over the time of all threads",
             False, False),
    Variable("guarded_gain", "ns", "thread time that a cut with a guard, which no kernel has, saves a call"
             " against no downgrade", False),
    Variable("guarded_safe", "", "no actor of the stale-TLB model breaks the cut with the guard", False,
             False, boolean=True),
    Variable("answered_by", "", "who answered", False, False, SOLVERS),
)  # fmt: skip

#: Every variable by name.
VARIABLES: Mapping[str, Variable] = MappingProxyType({v.name: v for v in _ALL})

#: What is given unless variables are named: not what guards would do, which takes long, and who answered
#: only where it may differ.
DEFAULT = tuple(n for n, v in VARIABLES.items() if n != "answered_by" and not v.guarded)


def chosen(names: Sequence[str] | str | None, solver: str) -> tuple[str, ...]:
    """Return the names of the variables asked for, in the order of the table.

    Raises
    ------
    InputError
        If there is no such variable, or none is named.
    """
    if names is None:
        return DEFAULT if solver == "closed" else (*DEFAULT, "answered_by")
    wanted = [n.strip().replace("-", "_") for n in ([names] if isinstance(names, str) else names)]
    for name in wanted:
        if name not in VARIABLES:
            raise InputError(f"there is no variable {name!r}", field="variables",
                             expected="some of " + ", ".join(VARIABLES))  # fmt: skip
    if not wanted:
        raise InputError("no variable is named", field="variables",
                         expected="some of " + ", ".join(VARIABLES))  # fmt: skip
    return tuple(name for name in VARIABLES if name in wanted)
