"""What an explorer explores, in plain Python: a scenario, what is shown, pins, undo, travel."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import Any, Self

from perfmodel.errors import InputError
from perfmodel.kernel import Kernel
from perfmodel.machine import Machine, shipped_profiles
from perfmodel.presets import PRESETS, preset
from perfmodel.quantities import SCENARIO
from perfmodel.scenario import Faults, Policy, Scenario, Writers
from perfmodel.widgets import travel
from perfmodel.widgets.parameters import CHOICES, CLOSED, OPEN, PATHS, given
from perfmodel.widgets.shown import Exploration, Pin, Shown
from perfmodel.widgets.travel.command import command_line
from perfmodel.widgets.travel.python import python_text

__all__ = ["PATHS", "Change", "ExplorerState", "mail_case"]

#: Sets of one parameter that follow each other faster than this are one step of undo: a drag.
DRAG_SECONDS = 1.0


def mail_case() -> Scenario:
    """Return the founding mail's own case, preset ``mail``, on the first shipped profile."""
    profiles = shipped_profiles()
    if not profiles:
        raise InputError("no machine profile is shipped", field="machine", expected="a profile")
    machine = travel.shipped(next(iter(profiles)))
    return Scenario.from_dict(preset("mail").parameters, machine=machine)


@dataclass(frozen=True)
class Change:
    """What a listener is told.

    Parameters
    ----------
    names : frozenset of str
        The parameters that were set; empty where the scenario as a whole was replaced.
    plot : bool
        Whether only what is shown changed: view, swept parameters, plotted cut or pins.
    """

    names: frozenset[str]
    plot: bool = False


class ExplorerState:
    """One scenario that can be changed a parameter at a time.

    Parameters
    ----------
    scenario : Scenario
        Where to start, and where `reset` returns to until a preset or a text is loaded.
    over : str
        The parameter on the abscissa, one of `perfmodel.breakeven.PARAMETERS`.
    shown : Shown, optional
        All of what is shown, instead of `over` alone.
    pins : tuple of Pin
        Scenarios to compare with.
    clock : callable, optional
        Seconds; tells a drag from separate changes.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        over: str = "pages",
        shown: Shown | None = None,
        pins: tuple[Pin, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scenario = self._start = scenario
        self._machines = {scenario.machine.name: scenario.machine}
        self._shown = shown if shown is not None else _over(Shown(), over)
        self._pins = Exploration(scenario, self._shown, pins).pins
        self._listeners: list[Callable[[Change], None]] = []
        #: Scenarios to go back to, each with where `reset` returned to then.
        self._past: list[tuple[Scenario, Scenario]] = []
        self._last: tuple[str, float] = ("", -math.inf)
        self._clock = clock
        #: Last values of the parameters that the present kind of population has no use for.
        self._memory: dict[str, float] = {}

    # ------------------------------------------------------------------ what is explored

    @property
    def scenario(self) -> Scenario:
        """The scenario as it is now."""
        return self._scenario

    @property
    def shown(self) -> Shown:
        """The view, and what it is over."""
        return self._shown

    @property
    def pins(self) -> tuple[Pin, ...]:
        """The scenarios put aside for comparison."""
        return self._pins

    @property
    def over(self) -> str:
        """The parameter on the abscissa."""
        return self._shown.over

    @property
    def policy(self) -> Policy | None:
        """The cut whose net gain is plotted; None for the one that the verdict judges."""
        return self._shown.policy

    @property
    def exploration(self) -> Exploration:
        """All that a link or a file carries."""
        return Exploration(self._scenario, self._shown, self._pins)

    @property
    def preset(self) -> str:
        """Name of the preset that the scenario is, on the present machine; empty if it is none."""
        for name, known in PRESETS.items():
            if self._scenario == Scenario.from_dict(
                known.parameters, machine=self._scenario.machine
            ):
                return name
        return ""

    @property
    def machines(self) -> tuple[str, ...]:
        """Names that ``set("machine", name)`` takes: shipped profiles and those given."""
        return tuple(dict.fromkeys((*shipped_profiles(), *self._machines)))

    def value(self, name: str) -> Any:
        """Return a parameter; None where the present kind of population does not have it.

        Raises
        ------
        InputError
            If there is no such parameter.
        """
        if name == "machine":
            return self._scenario.machine.name
        if name == "kernel":
            return self._scenario.kernel.release
        if name in ("faults_open", "writers_open"):
            part: Faults | Writers = getattr(self._scenario, name.removesuffix("_open"))
            return part.open
        path = PATHS.get(name) or CHOICES.get(name)
        if path is None:
            raise InputError("a scenario has no such parameter", field=name,
                             expected="one of " + ", ".join((*PATHS, *CHOICES)))  # fmt: skip
        if name in PATHS:
            return given(self._scenario, name)
        found: Any = self._scenario
        for step in path.split("."):
            found = getattr(found, step)
        return found

    def initial(self, name: str) -> Any:
        """Return the value that `restore` gives a parameter.

        That of where `reset` returns to, or what `remembered` says where that has none.
        """
        value = given(self._start, name)
        return value if value is not None or name == "remote_cpus" else self._equivalent(name)

    def remembered(self, name: str) -> float:
        """Return the value a parameter would take if its kind of population came back."""
        now = self.value(name)
        if now is not None:
            return float(now)
        return self._memory.get(name, self._equivalent(name))

    def _equivalent(self, name: str) -> float:
        """Return a start for a parameter without history: the same load in the other form."""
        faults, writers = self._scenario.faults, self._scenario.writers
        if name == "remote_cpus":
            return self._scenario.remote_cpus
        if name == "fault_rate" and faults.threads and faults.think_us:
            return SCENARIO[name].check(min(faults.threads / faults.think_us * 1e6, 1e9))
        if name == "writer_rate" and writers.threads and writers.think_us:
            return SCENARIO[name].check(min(writers.threads / writers.think_us * 1e6, 1e9))
        start = {"fault_threads": 32.0, "fault_think_us": 20.0, "fault_rate": 50_000.0,
                 "writer_threads": 1.0, "writer_think_us": 200.0, "writer_rate": 5_000.0}  # fmt: skip
        return start.get(name, SCENARIO[name].typical[0])

    # ------------------------------------------------------------------ changing it

    def set(self, name: str, value: Any) -> None:
        """Set one parameter by name and tell the listeners.

        Parameters
        ----------
        name : str
            A name of `perfmodel.quantities.SCENARIO`, of `CHOICES`, or ``faults_open`` and
            ``writers_open``: whether that population is an open stream.
        value
            The value. Setting a rate makes the population an open stream, setting threads or a
            think time makes it closed. None for ``remote_cpus``: it follows from the threads.

        Raises
        ------
        InputError
            If the name is unknown or the value is refused; nothing has changed then.
        """
        self.value(name)  # an unknown name is an error here
        if name in ("faults_open", "writers_open"):
            scenario = self._switched(name.removesuffix("_open"), bool(value))
        elif name == "machine":
            machine = value if isinstance(value, Machine) else self._loaded(value)
            self._machines.setdefault(machine.name, machine)
            scenario = self._scenario.replace(machine=machine)
        elif name == "kernel" and isinstance(value, str):
            kernel = Kernel(value, self._scenario.kernel.hung_task_blocker)
            scenario = self._scenario.replace(kernel=kernel)
        elif name in CHOICES:
            scenario = self._scenario.replace(**{CHOICES[name]: value})
        else:
            if not (name == "remote_cpus" and value is None):
                value = SCENARIO[name].check(value, field=PATHS[name])
            scenario = self._scenario.replace(**self._with_population(name, value))
        self._follow_load(scenario)
        self._move(scenario, name)

    def _follow_load(self, scenario: Scenario) -> None:
        """Keep the scenario on the map: a stream of faults has a rate there, threads their number."""
        names = ("fault_rate", "fault_threads")
        was, now = names if self._scenario.faults.open else names[::-1]
        flips = scenario.faults.open != self._scenario.faults.open
        if flips and self._shown.across == was and self._shown.over != now:
            self._shown = replace(self._shown, across=now)

    def restore(self, name: str) -> None:
        """Give a number its initial value again; one step of undo."""
        self.set(name, self.initial(name))

    def _with_population(self, name: str, value: Any) -> dict[str, Any]:
        changes = {PATHS[name]: value}
        for part, rate in OPEN.items():
            opened = getattr(self._scenario, part).open
            if name == rate and not opened:
                changes[f"{part}.threads"] = None
                if part == "faults":
                    changes["faults.think_us"] = None
            elif name in CLOSED[part] and opened:
                changes[f"{part}.rate"] = None
        return changes

    def _switched(self, part: str, opened: bool) -> Scenario:
        if getattr(self._scenario, part).open == opened:
            return self._scenario
        prefix = part.removesuffix("s")
        if opened:
            changes: dict[str, Any] = {f"{part}.rate": self.remembered(f"{prefix}_rate"),
                                       f"{part}.threads": None}  # fmt: skip
            if part == "faults":
                changes["faults.think_us"] = None
        else:
            changes = {
                f"{part}.rate": None,
                f"{part}.threads": int(self.remembered(f"{prefix}_threads")),
                f"{part}.think_us": self.remembered(f"{prefix}_think_us"),
            }
        return self._scenario.replace(**changes)

    def _move(self, scenario: Scenario, name: str = "", *, start: Scenario | None = None) -> None:
        if scenario is self._scenario or scenario == self._scenario:
            return
        now = self._clock()
        same_drag = bool(name) and self._last[0] == name and now - self._last[1] < DRAG_SECONDS
        if not same_drag:
            self._past.append((self._scenario, start or self._start))
        self._last = (name, now)
        for each in (*OPEN.values(), *CLOSED["faults"], *CLOSED["writers"], "remote_cpus"):
            held = self.value(each)
            if held is not None:
                self._memory[each] = float(held)
        self._scenario = scenario
        self._tell(Change(frozenset({name} if name else ())))

    def show(
        self, *, view: str | None = None, over: str | None = None, across: str | None = None,
        policy: Policy | str | EllipsisType | None = ...,
    ) -> None:  # fmt: skip
        """Choose what is shown; what is not named stays as it is.

        Parameters
        ----------
        view : str, optional
            One of `perfmodel.widgets.shown.VIEWS`.
        over : str, optional
            The parameter on the abscissa. If it is that of the map's other axis, they change places.
        across : str, optional
            The parameter on the map's other axis.
        policy : Policy or str, optional
            The cut whose gain is plotted; None: the one that the verdict judges.

        Raises
        ------
        InputError
            If one is unknown; nothing has changed then.
        """
        shown = self._shown if over is None else _over(self._shown, over)
        if across is not None:
            other = self._shown.across if across == shown.over else shown.over
            shown = replace(shown, across=across, over=other)
        if isinstance(policy, str):
            (policy,) = Policy.parse(policy)
        if not isinstance(policy, EllipsisType):
            shown = replace(shown, policy=policy)
        if view is not None:
            shown = replace(shown, view=view)
        self._put(shown, self._pins)

    def _put(self, shown: Shown, pins: tuple[Pin, ...]) -> None:
        if (shown, pins) != (self._shown, self._pins):
            self._pins = Exploration(self._scenario, shown, pins).pins
            self._shown = shown
            self._tell(Change(frozenset(), plot=True))

    def pin(self, name: str = "") -> None:
        """Put the present scenario aside under a name, for comparison.

        Parameters
        ----------
        name : str
            Default: the first letter that is free.

        Raises
        ------
        InputError
            If the name is taken, or there are as many pins as can be told apart.
        """
        taken = {p.name for p in self._pins}
        name = name.strip() or next(c for c in "ABCDEFGH" if c not in taken)
        self._put(self._shown, (*self._pins, Pin(name, self._scenario)))

    def unpin(self, name: str | None = None) -> None:
        """Drop a pinned scenario, or all.

        Raises
        ------
        InputError
            If none has that name.
        """
        names = [p.name for p in self._pins]
        if name is not None and name not in names:
            raise InputError(f"nothing is pinned as {name!r}", field="pin",
                             expected="one of " + ", ".join(names))  # fmt: skip
        self._put(self._shown, tuple(p for p in self._pins if name is not None and p.name != name))

    # ------------------------------------------------------------------ replacing it as a whole

    def replace(self, scenario: Scenario) -> None:
        """Put another scenario in place; one step of undo."""
        self._machines.setdefault(scenario.machine.name, scenario.machine)
        self._move(scenario)

    def load_preset(self, name: str) -> None:
        """Put a preset in place, on the present machine.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        chosen = Scenario.from_dict(preset(name).parameters, machine=self._scenario.machine)
        self._follow_load(chosen)
        self._begin(chosen)

    def load(self, text: str) -> None:
        """Put in place what a text says: Python, a command line, JSON or a link.

        The last two carry what is shown and what is pinned too. One step of undo, for the scenario.

        Raises
        ------
        InputError
            If the text is none of them, or wrong; nothing has changed then.
        """
        found = travel.read(text, self._known_machine)
        carries_view = found.shown != Shown() or found.pins
        if carries_view:
            # Told with the scenario, so that one load is one redraw.
            self._shown, self._pins = found.shown, found.pins
        if not self._begin(found.scenario) and carries_view:
            self._tell(Change(frozenset(), plot=True))

    def _begin(self, scenario: Scenario) -> bool:
        """Make a scenario the present one, and that to which `reset` returns."""
        before = self._scenario
        start, self._start = self._start, scenario
        self._machines.setdefault(scenario.machine.name, scenario.machine)
        self._move(scenario, start=start)
        return self._scenario is not before

    def _loaded(self, name: str) -> Machine:
        """Return a machine by name, or by the path of its profile: a caller may open a file."""
        known = name in self._machines or name in shipped_profiles()
        return self._known_machine(name) if known else Machine.load(name)

    def _known_machine(self, name: str) -> Machine:
        return self._machines[name] if name in self._machines else travel.shipped(name)

    def reset(self) -> None:
        """Return to the first scenario, or to what was loaded since; can be undone."""
        self._move(self._start)

    def undo(self) -> bool:
        """Take the last step back; False where there is none."""
        if not self._past:
            return False
        self._scenario, self._start = self._past.pop()
        self._last = ("", -math.inf)
        self._tell(Change(frozenset()))
        return True

    @property
    def can_undo(self) -> bool:
        """Whether `undo` would change anything."""
        return bool(self._past)

    def listen(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` after every change.

        Returns
        -------
        callable
            Ends it.
        """
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback) if callback in self._listeners else None

    def _tell(self, change: Change) -> None:
        for callback in tuple(self._listeners):
            callback(change)

    # ------------------------------------------------------------------ taking it elsewhere

    def to_json(self) -> str:
        """Return the whole view as JSON; `load` and ``perfmodel --scenario`` take it back."""
        return travel.to_document(self.exploration)

    def to_python(self) -> str:
        """Return Python that builds the scenario as ``s`` and prints its verdict."""
        return python_text(self._scenario)

    def to_command(self, verb: str = "predict") -> str:
        """Return the command line that asks the same question."""
        return command_line(self._scenario, verb)

    def to_query(self) -> str:
        """Return the whole view as the words of a link, without the question mark."""
        return travel.to_query(self.exploration)

    @classmethod
    def from_query(cls, text: str) -> Self:
        """Return the state that a link says; the founding mail's case for an empty one.

        Raises
        ------
        InputError
            If a word is unknown, or a value wrong.
        """
        if not text.strip("?# "):
            return cls(mail_case())
        found = travel.from_query(text)
        return cls(found.scenario, shown=found.shown, pins=found.pins)


def _over(shown: Shown, over: str) -> Shown:
    """Change the abscissa; the map's axes change places where both would be one."""
    across = shown.over if over == shown.across else shown.across
    return replace(shown, over=over, across=across)
