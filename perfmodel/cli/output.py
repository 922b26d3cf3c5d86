"""What goes where: answers to stdout, everything else to stderr."""

from __future__ import annotations

import inspect
import json
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfmodel.errors import InputError
from perfmodel.report.blocks import printable

if TYPE_CHECKING:
    from perfmodel.report.blocks import Block

__all__ = [
    "JsonOption", "bar", "check_target", "note", "paragraphs", "show", "show_json", "stages",
    "write_text",
]  # fmt: skip

#: The option that every verb has.
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON value and nothing else on stdout.")
]

#: Width of what is piped: a mail, a terminal of a kernel engineer.
PIPED_WIDTH = 100


def paragraphs(verb: Callable[..., Any]) -> str:
    """Return a verb's docstring with each paragraph on one line: the help breaks lines itself."""
    return "\n\n".join(
        " ".join(p.split()) for p in inspect.cleandoc(verb.__doc__ or "").split("\n\n")
    )


def note(text: str) -> None:
    """Print one line about the work, not about the answer."""
    print(f"perfmodel: {printable(text)}", file=sys.stderr, flush=True)


def show(blocks: Iterable[Block]) -> None:
    """Print blocks to stdout: in colour on a terminal, plain and 100 columns wide in a pipe."""
    from rich.console import Console

    from perfmodel.report.terminal import to_rich

    console = Console(file=sys.stdout, highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED_WIDTH
    console.print(to_rich(blocks))


def show_json(value: Any) -> None:
    """Print one JSON value; numbers that are not finite become null."""
    print(json.dumps(_plain(value), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # a numpy scalar or array
        return _plain(value.tolist())
    return float(value) if math.isfinite(value) else None


@contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """Give a function that says what is being done: a status line or, piped, one line a stage."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        told: set[str] = set()

        def tell(text: str) -> None:
            # Per cents are for a line that is overwritten; in a pipe each stage is told once.
            stage = re.sub(r" \d+ %$", "", text)
            if stage not in told:
                told.add(stage)
                note(stage)

        yield tell
        return
    with console.status("") as status:
        yield lambda text: status.update(printable(text))


@contextmanager
def bar(label: str) -> Iterator[Callable[[float], None]]:
    """Give a function that takes the share done, 0 to 1, and shows it on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:  # a bar is for eyes
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=1.0)
        yield lambda share: progress.update(task, completed=share)


def check_target(path: Path, *, force: bool, option: str = "--output") -> None:
    """Refuse a target that cannot or must not be written, before any work is done.

    Raises
    ------
    InputError
        If it exists and `force` is not set, is a folder, or lies in no folder.
    """
    try:
        if path.is_dir():
            raise InputError("this is a folder", file=path, field=option, expected="a file name")
        if not path.parent.is_dir():
            raise InputError(
                f"there is no folder {str(path.parent)!r}", file=path, field=option,
                expected="a file name in an existing folder",
            )  # fmt: skip
        if path.exists() and not force:
            raise InputError(
                "the file exists and is not overwritten", file=path, field=option,
                expected="another name, or --force",
            )  # fmt: skip
    except (OSError, ValueError) as error:  # too long a name, a NUL in it
        raise InputError(f"cannot be written ({error})", file=path, field=option) from None


def write_text(path: Path, text: str) -> Path:
    """Write a text file that is whole or not there at all.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", file=path) from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise InputError(f"cannot be written ({error.strerror})", file=path) from None
    return path
