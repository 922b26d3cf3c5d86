"""What an explorer explores, in plain Python: one scenario, what is plotted, undo, export."""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from perfmodel.breakeven import PARAMETERS
from perfmodel.errors import InputError
from perfmodel.kernel import Kernel
from perfmodel.machine import Machine, shipped_profiles
from perfmodel.presets import preset
from perfmodel.quantities import SCENARIO
from perfmodel.scenario import Call, Faults, Policy, Scenario, Writers

__all__ = ["PATHS", "Change", "ExplorerState", "mail_case"]

#: Where each declared parameter lives in a scenario.
PATHS: Mapping[str, str] = {
    name: PARAMETERS[name][0] if name in PARAMETERS else f"call.{name}" for name in SCENARIO
} | {"wp_share": "faults.wp_share"}

#: Names of `ExplorerState.set` that are no numbers, and where they live.
CHOICES: Mapping[str, str] = {
    "operation": "call.operation",
    "transition": "call.transition",
    "huge": "call.huge",
    "kernel": "kernel",
    "machine": "machine",
}

#: Sets of one parameter that follow each other faster than this are one step of undo: a drag.
DRAG_SECONDS = 1.0


def mail_case() -> Scenario:
    """Return the founding mail's own case, preset ``mail``, on the first shipped profile."""
    profiles = shipped_profiles()
    if not profiles:
        raise InputError("no machine profile is shipped", field="machine", expected="a profile")
    machine = Machine.load(next(iter(profiles)))
    return Scenario.from_dict(preset("mail").parameters, machine=machine)


@dataclass(frozen=True)
class Change:
    """What a listener is told.

    Parameters
    ----------
    names : frozenset of str
        The parameters that were set; empty where the scenario as a whole was replaced.
    plot : bool
        Whether only what is plotted changed.
    """

    names: frozenset[str]
    plot: bool = False


class ExplorerState:
    """One scenario that can be changed a parameter at a time.

    Parameters
    ----------
    scenario : Scenario
        Where to start, and where `reset` returns to.
    over : str
        The parameter on the abscissa, one of `perfmodel.breakeven.PARAMETERS`.
    clock : callable, optional
        Seconds; tells a drag from separate changes.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        over: str = "pages",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scenario = self._start = scenario
        self._machines = {scenario.machine.name: scenario.machine}
        self._over = over
        self._policy: Policy | None = None
        self._listeners: list[Callable[[Change], None]] = []
        self._past: list[Scenario] = []
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
    def over(self) -> str:
        """The parameter on the abscissa."""
        return self._over

    @property
    def policy(self) -> Policy | None:
        """The cut whose net gain is plotted; None for the one that the verdict judges."""
        return self._policy

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
        if name == "writer_think_us" and self._scenario.writers.open:
            return None
        found: Any = self._scenario
        for step in path.split("."):
            found = getattr(found, step)
        return found

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
            machine = value if isinstance(value, Machine) else self._machines.get(value)
            machine = machine if machine is not None else Machine.load(value)
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
        self._move(scenario, name)

    def _with_population(self, name: str, value: Any) -> dict[str, Any]:
        changes = {PATHS[name]: value}
        faults, writers = self._scenario.faults, self._scenario.writers
        if name == "fault_rate" and not faults.open:
            changes |= {"faults.threads": None, "faults.think_us": None}
        elif name in ("fault_threads", "fault_think_us") and faults.open:
            changes |= {"faults.rate": None}
        elif name == "writer_rate" and not writers.open:
            changes |= {"writers.threads": None}
        elif name in ("writer_threads", "writer_think_us") and writers.open:
            changes |= {"writers.rate": None}
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

    def _move(self, scenario: Scenario, name: str = "") -> None:
        if scenario is self._scenario or scenario == self._scenario:
            return
        now = self._clock()
        same_drag = bool(name) and self._last[0] == name and now - self._last[1] < DRAG_SECONDS
        if not same_drag:
            self._past.append(self._scenario)
        self._last = (name, now)
        for each in ("fault_threads", "fault_think_us", "fault_rate", "writer_threads",
                     "writer_think_us", "writer_rate", "remote_cpus"):  # fmt: skip
            held = self.value(each)
            if held is not None:
                self._memory[each] = float(held)
        self._scenario = scenario
        self._tell(Change(frozenset({name} if name else ())))

    def show(self, *, over: str | None = None, policy: Policy | str | None = None) -> None:
        """Choose what is plotted.

        Parameters
        ----------
        over : str, optional
            The parameter on the abscissa. Default: as it is.
        policy : Policy or str, optional
            The cut whose gain is plotted. Default: the one that the verdict judges.

        Raises
        ------
        InputError
            If either is unknown.
        """
        over = self._over if over is None else over
        if over not in PARAMETERS:
            raise InputError(f"cannot sweep {over!r}", field="over",
                             expected="one of " + ", ".join(PARAMETERS))  # fmt: skip
        if isinstance(policy, str):
            (policy,) = Policy.parse(policy)
        if (over, policy) != (self._over, self._policy):
            self._over, self._policy = over, policy
            self._tell(Change(frozenset(), plot=True))

    def replace(self, scenario: Scenario) -> None:
        """Put another scenario in place; one step of undo."""
        self._machines.setdefault(scenario.machine.name, scenario.machine)
        self._move(scenario)

    def reset(self) -> None:
        """Return to the first scenario; can be undone."""
        self._move(self._start)

    def undo(self) -> bool:
        """Take the last step back; False where there is none."""
        if not self._past:
            return False
        self._scenario = self._past.pop()
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
        """Return the scenario as JSON; `load_json` and ``perfmodel --scenario`` take it back."""
        return self._scenario.to_json()

    def load_json(self, text: str) -> None:
        """Replace the scenario by one from JSON.

        Raises
        ------
        InputError
            If the text is not JSON or not a scenario; nothing has changed then.
        """
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"this is not JSON ({error})", expected="a scenario") from None
        name = data.get("machine") if isinstance(data, dict) else None
        machine = self._machines.get(name) if isinstance(name, str) else None
        self.replace(Scenario.from_dict(data, machine=machine))

    def to_python(self) -> str:
        """Return Python that builds the scenario as ``s`` and prints its verdict."""
        s = self._scenario
        kernel = repr(s.kernel.release)
        if not s.kernel.hung_task_blocker:
            kernel = f"pm.Kernel({kernel}, hung_task_blocker=False)"
        lines = [
            "import perfmodel as pm",
            "",
            "s = pm.Scenario(",
            f"    machine={s.machine.name!r},",
            f"    kernel={kernel},",
            f"    call={_python(s.call, Call(s.call.operation, transition=s.call.transition))},",
            f"    faults={_python(s.faults, None)},",
            f"    writers={_python(s.writers, None)},",
            f"    cpus={s.cpus},",
        ]
        if s.policies != Scenario.__dataclass_fields__["policies"].default:
            listed = ", ".join(f"pm.Policy.{p.name}" for p in s.policies)
            lines.append(f"    policies=({listed},),")
        return "\n".join([*lines, ")", "print(pm.predict(s).verdict.sentence)", ""])

    def to_command(self, verb: str = "predict") -> str:
        """Return the command line that asks the same question."""
        s = self._scenario
        call, faults, writers = s.call, s.faults, s.writers
        options: list[tuple[str, Any]] = [
            ("machine", s.machine.name), ("kernel", s.kernel.release),
            ("operation", call.operation), ("pages", call.pages), ("vmas", call.vmas),
            ("splits", call.splits), ("merges", call.merges or None),
            ("transition", call.transition), ("populated", call.populated),
            ("remote-cpus", call.remote_cpus),
            ("fault-threads", faults.threads), ("fault-think-us", faults.think_us),
            ("fault-rate", faults.rate), ("same-vma", faults.same_vma),
            ("first-touch", faults.first_touch), ("io-share", faults.io_share),
            ("io-us", faults.io_us), ("wp-share", faults.wp_share),
            ("writer-threads", writers.threads),
            ("writer-think-us", None if writers.open else writers.think_us),
            ("writer-rate", writers.rate), ("cpus", s.cpus),
            ("policy", ",".join(p.value for p in s.policies)),
        ]  # fmt: skip
        words = ["perfmodel", verb]
        for name, value in options:
            if value is not None:
                text = f"{value:g}" if isinstance(value, float) and f"{value:g}" == repr(value) \
                    else str(value)  # fmt: skip
                words += [f"--{name}", text]
        if call.huge:
            words.append("--huge")
        return shlex.join(words)


def _python(part: Call | Faults | Writers, default: object | None) -> str:
    """Write a part of a scenario with the arguments that are not the default's."""
    default = default if default is not None else type(part)
    words = []
    for item in fields(part):
        value = getattr(part, item.name)
        assumed = getattr(default, item.name, None) if isinstance(default, type) else None
        if not isinstance(default, type):
            assumed = getattr(default, item.name)
        always = item.name in ("operation", "pages", "transition")
        if always or value != assumed:
            words.append(f"{item.name}={value!r}")
    return f"pm.{type(part).__name__}({', '.join(words)})"
