"""``perfmodel measure``: run the measuring programs on this machine."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.cli.output import JsonOption, check_target, note, show, show_json
from perfmodel.cli.values import SEED, help_text, number
from perfmodel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "measure"
EPILOG = "Example: perfmodel measure --quick -o results.json"

#: Records that are there whatever was asked for; alone they are no measurement.
_ALWAYS = {"noise", "null_clock"}


def command(
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The JSON file to write. Default:"
                     " perfmodel-run-DATE-TIME.json here."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small grid: half a minute in place of minutes.")
    ] = False,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", help="calls, faults, locked, wake or trace (needs root); may be"
                     " repeated. Default: all. Of the kernel laboratory: stock, calls, faults, trace"
                     " or races."),
    ] = None,
    kernel_lab: Annotated[
        bool,
        typer.Option("--kernel-lab", help="Not this machine, but a QEMU guest with a 6.1 kernel whose"
                     " mprotect can downgrade mmap_lock: build it, boot it, measure it under each cut."
                     " -o is then a folder. Half an hour; Debian 12."),
    ] = False,
    cut: Annotated[
        list[str] | None,
        typer.Option("--cut", help="With --kernel-lab: none, k0, k1 or every-vma; may be repeated."
                     " Default: all."),
    ] = None,
    vcpus: Annotated[
        str, typer.Option("--vcpus", metavar="LIST", help="With --kernel-lab: vCPUs of each boot.")
    ] = "2,4",
    rounds: Annotated[
        int | None,
        typer.Option("--rounds", help="With --kernel-lab: times each point is measured under each"
                     " cut. Default: 2; 1 with --quick."),
    ] = None,
    debug: Annotated[
        bool,
        typer.Option("--debug-kernel", help="With --kernel-lab: a kernel that checks its lock rules;"
                     " its times say nothing."),
    ] = False,
    seed: Annotated[str, typer.Option("--seed", help=help_text(SEED), metavar="NUMBER")] = "1",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Measure this machine: calls, faults, locked operations, waking, a traced load.

    Needs a C compiler; only tracing needs root. A group that fails is named and the rest goes on.
    Exit status 1 if nothing could be measured.
    """
    from perfmodel import measure

    start = int(number(seed, SEED, "--seed"))
    if kernel_lab:
        _kernel_lab(output, quick=quick, groups=group, cuts=cut, vcpus=vcpus, rounds=rounds,
                    seed=start, debug=debug, as_json=as_json)  # fmt: skip
        return
    for given, name in ((cut, "--cut"), (rounds, "--rounds"), (debug, "--debug-kernel")):
        if given:
            raise InputError("this is about the kernel laboratory", field=name,
                             expected="it together with --kernel-lab")  # fmt: skip
    target = output or Path(time.strftime("perfmodel-run-%Y%m%d-%H%M%S.json"))
    if target.exists() or target.is_dir():
        check_target(target, force=force)
    try:
        with _progress() as tell:
            path = measure.run(target, quick=quick, groups=group or None, seed=start, progress=tell)
    except InputError as error:
        field = "--group" if error.field == "groups" else error.field
        raise InputError(error.what, file=error.file, field=field,
                         expected=error.expected) from None  # fmt: skip
    except KeyboardInterrupt:
        note(f"stopped; {target} holds what was complete")
        raise
    summary = _summary(path)
    if as_json:
        show_json(summary)
    else:
        show(_blocks(summary))
    if not summary["records"]:
        raise typer.Exit(1)


def _kernel_lab(
    output: Path | None,
    *,
    quick: bool,
    groups: list[str] | None,
    cuts: list[str] | None,
    vcpus: str,
    rounds: int | None,
    seed: int,
    debug: bool,
    as_json: bool,
) -> None:
    from perfmodel.measure.kernel_lab import make_plan, run_lab

    folder = output or Path(time.strftime("perfmodel-kernel-lab-%Y%m%d-%H%M%S"))
    options = {"groups": "--group", "cuts": "--cut", "output": "-o"}
    try:
        if not all(part.strip().isdecimal() for part in vcpus.split(",")):
            raise InputError(f"{vcpus!r}", field="vcpus", expected="whole numbers with commas")
        plan = make_plan(quick=quick, cuts=cuts or None, groups=groups or None,
                         vcpus=[int(part) for part in vcpus.split(",")], rounds=rounds,
                         seed=seed)  # fmt: skip
        with _progress() as tell:
            paths = run_lab(folder, plan, debug=debug, progress=tell)
    except InputError as error:
        field = options.get(error.field or "", f"--{error.field}" if error.field else None)
        raise InputError(error.what, file=error.file, field=field,
                         expected=error.expected) from None  # fmt: skip
    except KeyboardInterrupt:
        note(f"stopped; {folder} holds what was complete")
        raise
    summary = _lab_summary(folder, paths)
    if as_json:
        show_json(summary)
    else:
        show(_lab_blocks(summary))
    if not any(one["records"] for one in summary["documents"]) and not summary["races"]:
        raise typer.Exit(1)


def _lab_summary(folder: Path, paths: list[Path]) -> dict[str, Any]:
    """Return what was written, without a figure of it: those are read from the documents."""
    documents, races = [], []
    for path in paths:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != "perfmodel.bench/1":
            races += [race for boot in content["boots"] for race in boot["races"]]
            continue
        lab = content["machine"]["laboratory"]
        documents.append({
            "file": str(path), "status": content["status"], "accelerator": lab["accelerator"],
            "vcpus": lab["vcpus"], "cut": lab["cut"],
            "records": sum(r["benchmark"] not in _ALWAYS for r in content["records"]),
            "problems": content["problems"],
        })  # fmt: skip
    return {"folder": str(folder), "evidence": "emulated", "documents": documents, "races": races}


def _lab_blocks(summary: dict[str, Any]) -> list[Any]:
    from perfmodel.report.blocks import Bullets, Column, Table, Text

    accelerators = sorted({d["accelerator"] for d in summary["documents"]}) or ["nothing"]
    blocks: list[Any] = [
        Text(f"Measured in a guest ({', '.join(accelerators)}: emulated, no machine's times):"
             f" {summary['folder']}."),
        Table(
            [Column("vCPUs"), Column("cut"), Column("records"), Column("status"), Column("file")],
            [[str(d["vcpus"]), d["cut"], str(d["records"]), d["status"], Path(d["file"]).name]
             for d in summary["documents"]],
            "Documents",
        ),
    ]  # fmt: skip
    if summary["races"]:
        rows = [
            [r["name"], r["cut"], _rules(r), str(r["rounds"]), str(r["met"]), str(r["reproduced"])]
            for r in summary["races"]
        ]
        columns = [Column(name) for name in ("race", "cut", "rules", "rounds", "met", "reproduced")]
        blocks.append(Table(columns, rows, "Races tried"))
    problems = {
        f"problem with {d['cut']}, {p['group']}: {p['what']}"
        for d in summary["documents"] for p in d["problems"]
    }  # fmt: skip
    if problems:
        blocks.append(Bullets(sorted(problems)))
    return blocks


def _rules(race: dict[str, Any]) -> str:
    taken = [word for word in ("exclusive", "nested") if race[f"ignore_{word}"]]
    return f"without {', '.join(taken)}" if taken else "of 6.1"


def _progress() -> Any:
    """Show one bar a group on a terminal, else one line a group."""
    from contextlib import contextmanager

    from rich.console import Console
    from rich.progress import Progress

    @contextmanager
    def show_progress() -> Any:
        console = Console(stderr=True)
        if not console.is_terminal:
            yield lambda group, _done, total: note(f"measuring {group}") if not total else None
            return
        tasks: dict[str, Any] = {}
        with Progress(console=console) as progress:

            def tell(group: str, done: int, total: int) -> None:
                if group not in tasks:
                    tasks[group] = progress.add_task(group, total=total or None)
                progress.update(tasks[group], completed=done, total=total or None)

            yield tell

    make: Callable[[], Any] = show_progress
    return make()


def _summary(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text(encoding="utf-8"))
    kinds: dict[str, int] = {}
    for record in document["records"]:
        if record["benchmark"] not in _ALWAYS:
            kinds[record["benchmark"]] = kinds.get(record["benchmark"], 0) + 1
    trace = document.get("trace")
    return {
        "file": str(path),
        "status": document["status"],
        "records": kinds,
        "trace": None if trace is None else str(path.with_name(trace["file"])),
        "noise": document["noise"],
        "problems": document["problems"],
        "next": _next(path),
    }


def _next(path: Path) -> str:
    """Return the command that makes a profile of the run; its trace is read with it."""
    import shlex

    profile = path.with_name(f"profile-{path.stem}.json")
    return f"perfmodel calibrate {shlex.quote(str(path))} -o {shlex.quote(str(profile))}"


def _blocks(summary: dict[str, Any]) -> list[Any]:
    from perfmodel.report.blocks import Bullets, Text
    from perfmodel.report.machine import state_lines

    counts = ", ".join(f"{n} of {kind}" for kind, n in summary["records"].items()) or "nothing"
    blocks: list[Any] = [
        Text(f"Measured: {summary['file']} ({summary['status']}): {counts}."),
        Bullets(
            [
                *([f"trace: {summary['trace']}"] if summary["trace"] else []),
                *state_lines({"noise": summary["noise"]}),
                *(f"problem in {p['group']}: {p['what']}" for p in summary["problems"]),
            ]
        ),
    ]
    if summary["records"]:
        blocks.append(Text(f"Next: {summary['next']}"))
    return blocks
