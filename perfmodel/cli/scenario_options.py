"""The options that state a scenario, shared by every verb that asks the models."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.cli.output import note
from perfmodel.cli.values import help_text, number
from perfmodel.errors import InputError
from perfmodel.presets import PRESETS, preset
from perfmodel.quantities import SCENARIO

if TYPE_CHECKING:
    from perfmodel.machine import Machine
    from perfmodel.scenario import Scenario

__all__ = ["OPTIONS", "Option", "load_machine", "scenario_from", "with_scenario"]


@dataclass(frozen=True)
class Option:
    """One option of a scenario.

    Parameters
    ----------
    flag : str
        As typed, for instance ``--fault-think-us``.
    path : str
        Where it lies in `Scenario.to_dict`, dotted.
    panel : str
        Heading of the help under which it stands.
    help : str
        For an option that is no quantity.
    quantity : str
        Name of its declaration, for a number.
    default : str
        What holds if it is not given, where that is not a plain value; for the help only.
    boolean : bool
        Whether it is a pair of switches.
    """

    flag: str
    path: str
    panel: str
    help: str = ""
    quantity: str = ""
    default: str = ""
    boolean: bool = False

    @property
    def name(self) -> str:
        """Parameter name of the verb's function."""
        return self.flag[2:].replace("-", "_")

    def parameter(self) -> inspect.Parameter:
        """Return the option as typer reads it from a signature."""
        declared = SCENARIO.get(self.quantity)
        words = help_text(declared, self.default) if declared else self.help
        kind: Any = bool | None if self.boolean else str | None
        flags = f"{self.flag}/--no-{self.flag[2:]}" if self.boolean else self.flag
        shown = None if self.boolean else declared.unit.upper() if declared else "TEXT"
        if declared and declared.unit == "1":
            shown = "NUMBER"
        info = typer.Option(flags, help=words, rich_help_panel=self.panel, metavar=shown,
                            show_default=False)  # fmt: skip
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[kind, info],
        )


def _numbers(panel: str, part: str, *names: tuple[str, str, str]) -> list[Option]:
    """Declare the options of one part: (quantity, field of the part, default in words)."""
    return [
        Option(f"--{q.replace('_', '-')}", f"{part}{field}", panel, quantity=q, default=default)
        for q, field, default in names
    ]


_WHOLE, _CALL, _FAULTS, _WRITERS = "The whole", "The call", "The faults", "The callers"

#: Every option of a scenario, in the order of the help.
OPTIONS: tuple[Option, ...] = (
    Option("--machine", "machine", _WHOLE, "A shipped profile's name (see 'perfmodel machine list') or"
           " a profile's file. Default: the first shipped profile."),
    Option("--kernel", "kernel", _WHOLE, "Release whose rules hold, 5.10 or newer. Default: 5.11."),
    Option("--policy", "policies", _WHOLE, "Where the lock is downgraded: all, or some of none, last-vma,"
           " before-flush, every-vma, read-only, per-vma, after-flush, separated by commas. Default: all (of"
           " break-even: the one that the verdict judges)."),
    Option("--scenario", "", _WHOLE, "A JSON file with all of it, as 'predict --json' repeats it under"
           " 'scenario' (its whole output will do); - is stdin. Options given besides override it."),
    Option("--preset", "", _WHOLE, "A named scenario: " + ", ".join(PRESETS) + "; 'list' explains them."
           " Options given besides override it."),
    *_numbers(_WHOLE, "", ("cpus", "cpus", "48")),
    Option("--operation", "call.operation", _CALL, "mprotect, munmap, mremap_shrink, uffd_writeprotect or"
           " madvise. Default: mprotect."),
    *_numbers(_CALL, "call.", ("pages", "pages", "1"), ("vmas", "vmas", "1"), ("splits", "splits", "0"),
              ("merges", "merges", "0")),
    Option("--transition", "call.transition", _CALL, "Old and new protection: RW->R, R->RW, RW->NONE,"
           " R->NONE, NONE->R, NONE->RW or same-flags. Default: RW->R."),
    *_numbers(_CALL, "call.", ("populated", "populated", "1, and 0 for NONE->R and NONE->RW"),
              ("remote_cpus", "remote_cpus", "follows from threads and CPUs")),
    Option("--huge", "call.huge", _CALL, "Whether the range is mapped by 2 MiB entries. Default: no.",
           boolean=True),
    *_numbers(_FAULTS, "faults.", ("fault_threads", "threads", "32 where only a think time is given"),
              ("fault_think_us", "think_us", "20 where only threads are given"),
              ("fault_rate", "rate", "50000 where nothing is given; excludes threads"),
              ("same_vma", "same_vma", "1"), ("first_touch", "first_touch", "0"),
              ("io_share", "io_share", "0"), ("io_us", "io_us", "100"), ("wp_share", "wp_share", "0.1")),
    *_numbers(_WRITERS, "writers.", ("writer_threads", "threads", "1"),
              ("writer_think_us", "think_us", "200"),
              ("writer_rate", "rate", "none: a rate excludes threads")),
)  # fmt: skip

_BY_PATH = {o.path: o for o in OPTIONS if o.path}


def with_scenario(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb all options of a scenario; it gets what was typed as its first argument.

    The verb's own parameters follow, keyword only, as typer reads them.
    """
    own = list(inspect.signature(verb, eval_str=True).parameters.values())[1:]

    def command(**given: Any) -> Any:
        typed = {o.name: given.pop(o.name) for o in OPTIONS}
        return verb(typed, **given)

    # typer asks the function's signature and its hints; both must tell of the added options.
    parameters = [*(o.parameter() for o in OPTIONS), *own]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__name__, command.__doc__ = verb.__name__, verb.__doc__
    return command


def load_machine(name: str | None) -> Machine:
    """Load a profile by name or path; without one the first shipped profile, and say which.

    Raises
    ------
    InputError
        If there is no such profile, or none is shipped.
    """
    machine = _load(name)
    if name is None:
        _say_default(machine)
    return machine


def _load(name: object) -> Machine:
    from perfmodel.machine import Machine, shipped_profiles

    if name is None:
        shipped = shipped_profiles()
        if not shipped:
            raise InputError(
                "no profile is shipped", field="--machine", expected="a profile's file"
            )
        return Machine.load(next(iter(shipped.values())))
    try:
        return Machine.load(str(name))
    except InputError as error:
        raise _renamed(error) from None
    except (OSError, ValueError) as error:  # too long a name, a NUL in it
        raise InputError(f"cannot be read ({error})", field="--machine") from None


def _say_default(machine: Machine) -> None:
    note(f"machine: {machine.name}, the first shipped profile (choose with --machine)")


def scenario_from(typed: Mapping[str, Any]) -> Scenario:
    """Build the scenario that the options state.

    Raises
    ------
    InputError
        With the option's name, or the file and field, of what is wrong.
    """
    from perfmodel.scenario import Scenario

    if typed["preset"] is not None and typed["scenario"] is not None:
        raise InputError("both are given", field="--preset, --scenario", expected="one of them")
    base: dict[str, Any] = {}
    if typed["scenario"] is not None:
        base = _read_scenario(typed["scenario"])
    elif typed["preset"] is not None:
        base = {k: dict(v) if isinstance(v, Mapping) else v
                for k, v in _preset(typed["preset"]).items()}  # fmt: skip
    given = _given(typed)
    named = given.pop("machine", None)
    # A file names its machine; an option overrides it, and neither means the default.
    named = named if named is not None else base.get("machine")
    machine = _load(named)
    if typed["scenario"] is not None:
        _check_file(base, typed["scenario"], machine)
    try:
        scenario = Scenario.from_dict(_merged(base, given), machine=machine)
    except InputError as error:
        raise _renamed(error) from None
    if named is None:
        _say_default(machine)
    return scenario


def _preset(name: str) -> Mapping[str, Any]:
    try:
        return preset(name).parameters
    except InputError as error:
        raise _renamed(error) from None


def _given(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was typed, checked, by path."""
    given: dict[str, Any] = {}
    for option in OPTIONS:
        text = typed[option.name]
        if text is None or not option.path:
            continue
        if option.quantity:
            given[option.path] = number(text, SCENARIO[option.quantity], option.flag)
        elif option.path == "policies":
            given["policies"] = [p.value for p in _policies(text)]
        else:
            given[option.path] = text
    return given


def _policies(text: str) -> Any:
    from perfmodel.scenario import Policy

    try:
        return Policy.parse(text)
    except InputError as error:
        raise _renamed(error) from None


def _merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Put the options over the base. A rate takes the place of threads, and the other way round."""
    merged = {k: dict(v) if isinstance(v, Mapping) else v for k, v in base.items()}
    for part, excluded in (("faults", ("threads", "think_us")), ("writers", ("threads",))):
        inner = merged.get(part, {})
        if f"{part}.rate" in given:
            for key in excluded:
                inner.pop(key, None)
        elif any(f"{part}.{key}" in given for key in excluded):
            inner.pop("rate", None)
    for path, value in given.items():
        part, _, key = path.rpartition(".")
        if part:
            merged.setdefault(part, {})[key] = value
        else:
            merged[key] = value
    return merged


def _read_scenario(name: str) -> dict[str, Any]:
    """Read a scenario's file; the output of a verb that repeats its scenario will do as well."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is not UTF-8 text"
        raise InputError(f"cannot be read ({why})", file=name, field="--scenario") from None
    wanted = "a perfmodel.scenario/1 object"
    if not text.strip():
        raise InputError("the file is empty", file=name, field="--scenario", expected=wanted)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is not JSON ({error})", file=name, field="--scenario",
                         expected=wanted) from None  # fmt: skip
    if isinstance(data, dict) and isinstance(data.get("scenario"), dict):
        data = data["scenario"]
    if not isinstance(data, dict):
        raise InputError("this is not an object", file=name, field="--scenario", expected=wanted)
    return data


def _check_file(data: Mapping[str, Any], name: str, machine: Any) -> None:
    """Refuse a file that is wrong by itself, in its own names, whatever the options override."""
    from perfmodel.scenario import Scenario

    try:
        Scenario.from_dict(data, machine=machine)
    except InputError as error:
        raise error.at(file=name) from None


def _renamed(error: InputError) -> InputError:
    """Return the error with the field named as the option that sets it."""
    field = error.field or ""
    option = _BY_PATH.get(field) or next((o for o in OPTIONS if o.name == field), None)
    if option is None and field in ("faults", "writers"):
        flag = f"--{field[:-1]}-rate, --{field[:-1]}-threads"
    else:
        flag = option.flag if option else field
    return InputError(error.what, file=error.file, line=error.line, field=flag or None,
                      expected=error.expected)  # fmt: skip
