"""The verbs put together, and how every failure becomes one paragraph and an exit status."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel import __version__
from perfmodel.cli import (
    break_even,
    calibrate,
    calibrate_fleet,
    claims,
    compare,
    experiment,
    explore,
    figures,
    lost_stores,
    machine,
    measure,
    predict,
    published,
    read,
    report,
    safety,
    sensitivity,
    simulate,
    sweep,
    validate,
    write_up,
)
from perfmodel.cli.output import note, paragraphs
from perfmodel.errors import PerfmodelError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main"]

#: Exit statuses besides 0: the answer is a failure; the input is wrong.
FAILED, BAD_INPUT = 1, 2

#: typer carries its own copy of click, or takes the installed one: ask it for the base of its
#: usage errors and do not name either.
_USAGE_ERROR: Any = next(k for k in typer.BadParameter.__mro__ if k.__name__ == "ClickException")

app = typer.Typer(
    name="perfmodel",
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: perfmodel predict --preset mail",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"perfmodel {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Say when it would pay for mprotect to downgrade mmap_lock.

    Analytical models, calibrated on measured hardware. Exit status: 0, or 1 if the answer is a
    failure (such as a held-out check that fell short), or 2 if the input is wrong.
    """


app.callback(help=paragraphs(_root))(_root)

for _verb in (predict, break_even, sweep, compare, sensitivity, simulate, claims, safety, lost_stores,
              measure, read, calibrate, calibrate_fleet, validate, published, figures, report,
              write_up, explore):  # fmt: skip
    app.command(_verb.NAME, help=paragraphs(_verb.command), epilog=_verb.EPILOG)(_verb.command)
app.add_typer(machine.app, name="machine")
app.add_typer(experiment.app, name="experiment")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after the program's name. Default: those of the process.

    Returns
    -------
    int
        The exit status.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = typer.main.get_command(app)
    try:
        with warnings.catch_warnings():
            _show_model_warnings()
            status = command.main(words or ["--help"], prog_name="perfmodel", standalone_mode=False)
            sys.stdout.flush()
    except _USAGE_ERROR as error:
        return _refuse(error.format_message())
    except PerfmodelError as error:
        return _refuse(str(error))
    except BrokenPipeError:
        # Whoever read us has seen enough; keep the interpreter from trying again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (KeyboardInterrupt, typer.Abort):
        note("stopped")
        return 130
    return status if isinstance(status, int) else 0


def _refuse(text: str) -> int:
    """Say in one paragraph what is wrong with the input."""
    note(f"error: {' '.join(text.split())}")
    return BAD_INPUT


def _show_model_warnings() -> None:
    """Show what the models warn of as notes, each once; other warnings stay as they are."""
    from perfmodel.errors import ModelWarning

    usual, seen = warnings.showwarning, set()

    def show(message, category, *where):  # type: ignore[no-untyped-def]
        if not issubclass(category, ModelWarning):
            usual(message, category, *where)
        elif str(message) not in seen:
            seen.add(str(message))
            note(f"warning: {message}")

    warnings.showwarning = show
    warnings.simplefilter("always", ModelWarning)
