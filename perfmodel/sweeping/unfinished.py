"""Work that may be killed: a folder with its question, what is done of it, and a lock.

The folder, ``NAME.unfinished`` beside the place of the result, holds the question (``question.json``), a
journal with a line of JSON for every part that is done, and whatever the parts have written. A line
is written when its part is whole: who is killed goes on after the last line.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfmodel.errors import InputError

__all__ = ["Unfinished", "unfinished"]


@dataclass(frozen=True)
class Unfinished:
    """Work under way.

    Parameters
    ----------
    room : Path
        Its folder.
    done : dict of str to mapping
        What earlier runs have finished: the line of every part, by its name.
    """

    room: Path
    done: dict[str, dict[str, Any]]

    def finish(self, part: str, **said: Any) -> None:
        """Note that a part is whole."""
        with (self.room / "journal").open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({"part": part, **said}) + "\n")

    def give(self, data: Path, path: Path) -> None:
        """Give the result its name, in place of what was there; an older one goes only now."""
        if path.exists():
            path.rename(self.room / "replaced")
        data.rename(path)
        shutil.rmtree(self.room)


@contextmanager
def unfinished(
    path: Path, question: str, begin: Callable[[Path], None], what: str
) -> Iterator[Unfinished]:
    """Begin work whose result will be `path`, or go on with what an earlier run has left of it.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    question : str
        Everything that the result follows from: another question does not go on with this one.
    begin : callable
        Gets an empty folder, to lay out what the parts are written to.
    what : str
        What the work is, for a message.

    Raises
    ------
    InputError
        If other work is unfinished there or under way.
    OSError
        If it cannot be written.
    """
    room = path.with_name(path.name + ".unfinished")
    room.mkdir(exist_ok=True)
    with (room / "lock").open("w") as lock:
        try:
            # A killed run leaves no lock behind.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError("another run is writing it", file=path,
                             expected="to wait, or another name") from None  # fmt: skip
        told = room / "question.json"
        if not told.exists():
            for left in room.iterdir():
                if left.is_dir():
                    shutil.rmtree(left)
                elif left.name != "lock":
                    left.unlink()
            begin(room)
            part = room / "question.json.part"
            part.write_text(question, encoding="utf-8")
            part.replace(told)
        elif told.read_text(encoding="utf-8") != question:
            raise InputError(
                f"{room.name} is what another {what} has left unfinished", file=path,
                expected=f"the same question, another name, or that folder removed ({room})",
            )  # fmt: skip
        yield Unfinished(room, _journal(room / "journal"))


def _journal(path: Path) -> dict[str, dict[str, Any]]:
    """Read the finished parts; cut off a last line that a kill has left half-written."""
    if not path.exists():
        return {}
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) < len(raw):
        with path.open("r+b") as stream:
            stream.truncate(len(whole))
    lines = (json.loads(line) for line in whole.splitlines())
    return {line["part"]: line for line in lines}
