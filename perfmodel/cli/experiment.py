"""``perfmodel experiment``: predict what a downgrading kernel does, then hold it beside what it did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfmodel.cli.output import JsonOption, check_target, note, show, show_json, stages
from perfmodel.errors import InputError

app = typer.Typer(
    rich_markup_mode="rich",
    help="A kernel whose mprotect downgrades: predicted first, then run. Everything is emulated.",
    epilog="Example: perfmodel experiment compare",
    no_args_is_help=True,
)


@app.command(
    "predict",
    epilog="Example: perfmodel experiment predict lab/stock-1 lab/stock-2 -o lab/prediction.json",
)
def predict(
    stock: Annotated[
        list[Path],
        typer.Argument(help="Folders of `perfmodel measure --kernel-lab --cut none`."),
    ],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The prediction to write.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Fit the guests' costs to runs without any cut, and predict each point under each cut.

    One profile for each number of vCPUs is written beside the prediction. A run that holds a cut is
    refused: what is predicted must not have been seen.
    """
    check_target(output, force=force)
    from perfmodel.experiment.profiles import fit_stock, stock_table

    with stages() as tell:
        tell("reading")
        table = stock_table(stock)
        machines = fit_stock(table, tell)
        from perfmodel.experiment import predict_run, write_prediction

        tell("predicting")
        rows = predict_run(machines, table, progress=lambda s: tell(f"predicting {100 * s:.0f} %"))
        for vcpus, machine in machines.items():
            machine.save(output.with_name(f"profile-{vcpus}cpu.json"))
        write_prediction(output, machines, rows)
    points = len({r.configuration for r in rows})
    note(f"{len(rows)} numbers of {points} points in {output}")
    if as_json:
        show_json({"file": str(output), "points": points, "numbers": len(rows)})


@app.command(
    "compare", epilog="Example: perfmodel experiment compare lab --run lab/run-1 --run lab/run-2"
)
def compare(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Holds prediction.json and run-*. Default: the recorded experiment."),
    ] = None,
    *,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", metavar="DIR", help="A folder of `perfmodel measure --kernel-lab`; may"
                     " be repeated. Default: run-* of the folder."),
    ] = None,
    brief: Annotated[
        bool, typer.Option("--brief", help="Print the answer and the summary only.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="List every point and quantity.")] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Put the prediction beside the measurement: sign, size, interval, spread over boots, races."""
    if run and folder is None:
        raise InputError("runs need the prediction that they are held against", field="--run",
                         expected="a folder that holds prediction.json before it")  # fmt: skip
    from perfmodel.experiment.recorded import load_experiment, recorded

    with stages() as tell:
        tell("reading")
        found = recorded() if folder is None else load_experiment(folder, run)
    from perfmodel.report.experiment import experiment_blocks, experiment_json

    if as_json:
        show_json(experiment_json(found))
    else:
        show(experiment_blocks(found, brief=brief, every=every))
