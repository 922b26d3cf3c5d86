"""``perfmodel calibrate``: benchmark output and traces in, a machine profile out; what to measure next."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.cli.output import (
    JsonOption,
    check_target,
    note,
    show,
    show_json,
    stages,
    write_text,
)
from perfmodel.cli.values import THRESHOLD, help_text, number
from perfmodel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from perfmodel.fit import Calibration
    from perfmodel.machine import Machine
    from perfmodel.observations import ObservationTable
    from perfmodel.report.blocks import Block
    from perfmodel.report.held_out import HeldOut

NAME = "calibrate"
EPILOG = (
    "Examples: perfmodel calibrate results/run1.json -o my-machine.json --held-out results/run2.json;"
    " perfmodel calibrate trace.txt perf-lock.txt wis.csv results/*.json; perfmodel calibrate --next"
    " --machine my-machine.json --preset large"
)

#: The profile that is written if no other name is given.
DEFAULT = Path("machine.json")

SCHEMA = "perfmodel.calibration/1"


def command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files and folders to fit: benchmark runs, traces, output of other tools."
                       " What a file can contribute is fitted; what it cannot is counted."),
    ] = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PROFILE", help="The profile to write. Default:"
                     f" {DEFAULT} here."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the profile. Default: the file's name.")
    ] = None,
    description: Annotated[
        str, typer.Option("--description", help="One sentence on the machine.")
    ] = "",
    kernel: Annotated[
        str | None, typer.Option("--kernel", help="Release, for files that do not say it.")
    ] = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option("--held-out", metavar="FILE", help="A run that the fit does not see, to check"
                     " the profile with; may be repeated."),
    ] = None,
    threshold: Annotated[
        str, typer.Option("--threshold", metavar="NUMBER", help=help_text(THRESHOLD))
    ] = "0.10",
    advise: Annotated[
        bool,
        typer.Option("--next", help="Say which measurement would shrink the interval of the net gain"
                     " most, with the command; of a finished profile: --next --machine, without files."),
    ] = False,
    machine: Annotated[
        str | None,
        typer.Option("--machine", metavar="NAME|PROFILE", help="With --next and without files: the"
                     " profile to ask about."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="With --next: the scenario that is asked about. Default: mail."),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option("--scenario", metavar="FILE", help="With --next: the same from a JSON file; - is"
                     " stdin."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as HTML, too.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing profile.")] = False,
    brief: Annotated[
        bool, typer.Option("--brief", help="Print the constants and the check's answer only.")
    ] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Fit a machine's constants to what was measured on it, and check them on a run held out.

    One joint robust fit of all constants to all files: single times, histograms, microsecond traces,
    aggregates and throughputs. The report says what was found, what the data cannot tell, how far off the
    fit is and where. Exit status 1 if the held-out check falls short.
    """
    limit = number(threshold, THRESHOLD, "--threshold")
    asked = _Asked(preset, scenario)
    if machine is not None:
        _next_of_profile(machine, asked, advise=advise, files=files or [], as_json=as_json)
        return
    if not advise:
        asked.refuse()
    if not files:
        raise InputError("no file to fit", field="FILES",
                         expected="benchmark runs, traces; or --next with --machine")  # fmt: skip
    output = DEFAULT if output is None else output
    check_target(output, force=force)
    called = output.stem if name is None else name
    from perfmodel.machine import NAME as PATTERN

    if not re.fullmatch(PATTERN, called):
        raise InputError(f"{called!r} is no name for a profile", field="--name",
                         expected="letters, digits, dots, dashes and underscores")  # fmt: skip
    if html is not None:
        check_target(html, force=True, option="--html")
    with stages() as tell:
        calibration, check = _calibrate(
            files, called, description, kernel, held_out or [], limit, tell
        )
        calibration.machine.save(output)
    note(f"profile: {output}")
    from perfmodel.report.calibration import calibration_blocks

    blocks = calibration_blocks(calibration, check)
    brief_blocks = calibration_blocks(calibration, check, brief=True)
    found: dict[str, Any] | None = None
    if advise:
        more, found = asked.answer(calibration.machine)
        blocks, brief_blocks = [*blocks, *more], [*brief_blocks, *more]
    if html is not None:
        from perfmodel.report.html import to_page

        write_text(html, to_page(f"Calibration of {called}", blocks))
        note(f"report: {html}")
    if as_json:
        show_json(_to_dict(calibration, check, output) | ({"next": found} if advise else {}))
    else:
        show(brief_blocks if brief else blocks)
    if check is not None and not check.passed:
        note("the held-out check FAILED; the profile was written all the same")
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Asked:
    """The scenario that ``--next`` is about, as typed."""

    preset: str | None
    scenario: str | None

    def refuse(self) -> None:
        """Refuse what means something with ``--next`` only."""
        for option, value in (("--preset", self.preset), ("--scenario", self.scenario)):
            if value is not None:
                raise InputError(
                    "it says what --next is about", field=option, expected="--next with it"
                )

    def answer(self, machine: Machine) -> tuple[list[Block], dict[str, Any]]:
        """Return what to measure next, as blocks and JSON-ready."""
        from perfmodel.cli.scenario_options import OPTIONS, scenario_from
        from perfmodel.fit import advise
        from perfmodel.report.blocks import Heading, Text
        from perfmodel.report.calibration import advice_blocks
        from perfmodel.sensitivity import elasticities

        typed: dict[str, Any] = {o.name: None for o in OPTIONS}
        named = "mail" if self.preset is None and self.scenario is None else self.preset
        # Any profile will do to read the scenario: the one that is asked about takes its place.
        typed |= {"preset": named, "scenario": self.scenario, "machine": _any_profile()}
        question = scenario_from(typed).replace(machine=machine)
        try:
            found = elasticities(question)
        except InputError as error:
            unknown = [n for n, c in machine.constants.items() if c.value is None]
            why = f"{error.what}" + (f"; the profile lacks {', '.join(unknown)}" if unknown else "")
            said = (
                f"The answer cannot be predicted yet ({why}): a whole run of perfmodel measure holds what"
                " is missing, as far as this machine can measure it."
            )
            return [Heading("What to measure next", 3), Text(said)], {"unknown": said}
        gradient = {e.name: e.elasticity * found.value for e in found.constants}
        advice = advise(machine, gradient)
        words = f"preset {named}" if named else f"scenario {self.scenario}"
        return (
            advice_blocks(advice, words, policy=found.policy.value),
            {"scenario": question.to_dict(), "policy": found.policy.value, **advice.to_dict()},
        )


def _any_profile() -> str | None:
    from perfmodel.machine import shipped_profiles

    return next(iter(shipped_profiles()), None)


def _next_of_profile(
    name: str, asked: _Asked, *, advise: bool, files: list[Path], as_json: bool
) -> None:
    """Say what to measure next for a profile that exists."""
    from perfmodel.cli.scenario_options import load_machine

    if not advise or files:
        raise InputError("a profile is asked about, not fitted", field="--machine",
                         expected="--next with it, and no files")  # fmt: skip
    blocks, found = asked.answer(load_machine(name))
    if as_json:
        show_json(found)
    else:
        show(blocks)


def _calibrate(
    files: list[Path], name: str, description: str, kernel: str | None, held_out: list[Path],
    limit: float, tell: Any,
) -> tuple[Calibration, HeldOut | None]:  # fmt: skip
    from perfmodel.fit import calibrate
    from perfmodel.kernel import Kernel
    from perfmodel.report.held_out import held_out_check

    try:
        rules = None if kernel is None else Kernel(kernel)
    except InputError as error:
        raise InputError(error.what, field="--kernel", expected=error.expected) from None
    table = _read(files, tell)
    # Read before the fit: a bad file must not cost minutes.
    later = _read(held_out, tell) if held_out else None
    if later is not None:
        _refuse_shared(table, later)
    calibration = calibrate(table, name=name, description=description, kernel=rules, progress=tell)
    if later is None:
        return calibration, None
    tell("held-out check")
    check = held_out_check(calibration.machine, later, kernel=rules, threshold=limit)
    machine = replace(
        calibration.machine, fit={**calibration.machine.fit, "held_out": _kept(check)}
    )
    return replace(calibration, machine=machine), check


def _read(paths: list[Path], tell: Callable[[str], None]) -> ObservationTable:
    from perfmodel.readers import read

    table = read(paths, progress=lambda share: tell(f"reading {100 * share:.0f} %"))
    for report in table.reports:
        for warning in report.warnings:
            note(f"{report.file}: {warning}")
        if report.lost:
            note(f"{report.file}: {report.lost} events were lost while it was recorded")
    return table


def _refuse_shared(table: ObservationTable, later: ObservationTable) -> None:
    """Refuse a held-out file that the fit sees: tell it before the fit."""
    fitted = {g.source.sha256 for g in table.groups}
    for group in later.groups:
        if group.source.sha256 in fitted:
            raise InputError(
                "the fit is given this very file, so it is not held out", file=group.source.file,
                field="--held-out", expected="a run that the fit does not see",
            )  # fmt: skip


def _kept(check: HeldOut) -> dict[str, Any]:
    """Return the check as the profile keeps it: files without the folders they lay in."""
    kept = check.to_dict()
    kept["files"] = [{**f, "file": Path(f["file"]).name} for f in kept["files"]]
    del kept["warnings"]
    return kept


def _to_dict(calibration: Calibration, check: HeldOut | None, output: Path) -> dict[str, Any]:
    import msgspec

    machine = calibration.machine
    return {
        "schema": SCHEMA,
        "profile": str(output),
        "name": machine.name,
        "sha256": machine.sha256,
        "constants": msgspec.to_builtins(dict(machine.constants)),
        "fit": dict(machine.fit),
        "held_out": None if check is None else check.to_dict(),
    }
