"""A command line, written and read by the declarations of the command's own options."""

from __future__ import annotations

import shlex
from typing import Any

from perfmodel.errors import InputError
from perfmodel.machine import shipped_profiles
from perfmodel.scenario import Policy, Scenario
from perfmodel.widgets.shown import Exploration, Shown
from perfmodel.widgets.travel.machines import Machines, shipped

__all__ = ["command_line", "from_command", "is_command", "to_command"]

_WANTED = "a line such as: perfmodel predict --preset mail --pages 512"

#: Options that say how an answer is given, not what is asked: a scenario loses nothing without them.
_ABOUT_THE_ANSWER = frozenset({
    "brief", "as_json", "draws", "solver", "check", "points", "output", "indices", "samples", "seed",
})  # fmt: skip


def is_command(text: str) -> bool:
    """Whether a text looks like a command line of ours."""
    return text.lstrip("$ ").startswith(("perfmodel ", "python -m perfmodel "))


def command_line(s: Scenario, verb: str = "predict") -> str:
    """Return the command line that asks the same question of a scenario.

    The static page has this function too, translated: it knows nothing of the options' declarations,
    to which a test holds it.
    """
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


def to_command(exploration: Exploration) -> str:
    """Return the command line that asks the same question."""
    return command_line(exploration.scenario)


def from_command(text: str, machines: Machines = shipped) -> Exploration:
    """Return the scenario that a command line states.

    Parameters
    ----------
    text : str
        One command; a line may go on after a backslash.
    machines : callable
        Name to `Machine`.

    Raises
    ------
    InputError
        If the command has no scenario, an option is unknown or wrong, or a file is named.
    """
    try:
        words = shlex.split(text.strip().lstrip("$ "), comments=True)
    except ValueError as error:
        raise InputError(f"this is no command line ({error})", expected=_WANTED) from None
    words = words[3:] if words[:1] == ["python"] else words[1:]
    typed = _typed(words)
    if typed.get("scenario") is not None:
        raise InputError("a file is not opened from here", field="--scenario",
                         expected="the text that is in the file")  # fmt: skip
    over = typed.pop("over", None)
    named = typed["machine"]
    if isinstance(named, (list, tuple)):  # of `explore`, where it may be given several times
        named = named[0] if named else None
    machine = machines(named or _first())
    # The command would open a file of that name: it gets a shipped one, and the scenario its own.
    from perfmodel.cli.scenario_options import scenario_from

    scenario = scenario_from({**typed, "machine": _first()}).replace(machine=machine)
    shown = Shown() if over is None else _over(over)
    return Exploration(scenario, shown)


def _first() -> str:
    return next(iter(shipped_profiles()))


def _over(text: str) -> Shown:
    name = text.replace("-", "_")
    usual = Shown()
    return Shown(over=name, across=usual.over if name == usual.across else usual.across)


def _typed(words: list[str]) -> dict[str, Any]:
    """Return what was typed for each option of the scenario, None where nothing was."""
    from typer.main import get_command

    from perfmodel.cli.app import app
    from perfmodel.cli.scenario_options import OPTIONS

    names = {o.name for o in OPTIONS}
    verbs: Any = get_command(app)
    verb = verbs.commands.get(words[0]) if words else None
    if verb is None or not names <= {p.name for p in verb.params}:
        raise InputError("the line asks nothing of a scenario", expected=_WANTED)
    try:
        # The parser alone: nothing is run, and nothing is printed.
        typed, rest, _ = verb.make_parser(verb.context_class(verb)).parse_args(list(words[1:]))
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own, of whichever copy of it
            raise
        raise InputError(error.format_message().rstrip("."), expected=_WANTED) from None
    if rest:
        raise InputError(f"{rest[0]!r} belongs to no option", expected=_WANTED)
    for name in set(typed) - names - _ABOUT_THE_ANSWER - {"over"}:
        raise InputError("this says nothing of a scenario", field=f"--{name.replace('_', '-')}",
                         expected="the options of a scenario")  # fmt: skip
    if typed.get("policy") is not None:
        Policy.parse(typed["policy"])
    found = {name: typed.get(name) for name in names}
    return found | ({"over": typed["over"]} if "over" in typed else {})
