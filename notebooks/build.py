"""Run the notebooks and write them back: the one rule for what of them is kept in git.

``python notebooks/build.py`` executes every notebook beside this file in a clean kernel,
``python notebooks/build.py 02 08`` those whose names begin so, and keeps

* printed text, HTML tables, formulas and pictures, so that the notebook can be read on a code host;
* of a widget its picture or table alone: the live view is made when the notebook is run;
* cell ids derived from the cell's text, and no times, so that a second run changes nothing.

A notebook that fails is told with its error, is left as it was, and the exit status is 1. ``--check``
writes nothing and exits with status 1 where a notebook differs in more than pictures and the last
digits of numbers.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat

FOLDER = Path(__file__).resolve().parent

#: Kept of an output.
KEPT = ("text/plain", "text/latex", "text/html", "text/markdown", "image/png")

#: Relative difference below which two numbers in the texts count as the same.
TOLERANCE = 0.02

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def execute(notebook: Any) -> Any:
    """Run a notebook in a clean kernel and return it with its outputs."""
    from nbclient import NotebookClient

    os.environ.setdefault("MPLBACKEND", "agg")
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    )
    return client.execute()


def normalise(notebook: Any) -> Any:
    """Return the notebook as it is kept in git."""
    seen: Counter[str] = Counter()
    number = 0
    for cell in notebook.cells:
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        seen[digest] += 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        cell["metadata"] = {}
        if cell.cell_type != "code":
            continue
        number += 1
        cell["execution_count"] = number
        cell["outputs"] = [o for o in map(_kept, _joined(cell.outputs)) if o is not None]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output["execution_count"] = number
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    nbformat.validate(notebook)
    return notebook


def _joined(outputs: Any) -> list[Any]:
    """Join printed text that arrived in several messages: how many is a matter of timing."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last is not None and output.output_type == last.output_type == "stream" \
                and output.name == last.name:  # fmt: skip
            last["text"] += output.text
        else:
            joined.append(output)
    return joined


def _kept(output: Any) -> Any:
    if output.output_type in ("stream", "error"):
        return output
    output["data"] = {kind: output.data[kind] for kind in KEPT if kind in output.data}
    if set(output.data) - {"text/plain"}:
        # "<IPython.core.display.HTML object>" tells nobody anything.
        output.data.pop("text/plain", None)
    output["metadata"] = {}
    return output if output.data else None


def texts(notebook: Any) -> list[str]:
    """Return every cell's source and its outputs in words, pictures left out."""
    found = []
    for cell in notebook.cells:
        found.append(cell.source)
        for output in cell.get("outputs", ()):
            found.append(output.get("text", ""))
            data = output.get("data", {})
            found += ["".join(data[k]) for k in sorted(data) if k != "image/png"]
    return found


def same(one: str, other: str) -> bool:
    """Tell whether two texts agree but for the last digits of their numbers."""
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    return all(
        abs(float(a) - float(b)) <= TOLERANCE * max(abs(float(a)), abs(float(b)), 1e-12)
        for a, b in pairs
    )


def differences(committed: Any, fresh: Any) -> list[str]:
    """Return what a reader of the committed notebook would be told wrongly."""
    old, new = texts(committed), texts(fresh)
    if len(old) != len(new):
        return [f"{len(old)} texts are kept, a run gives {len(new)}"]
    return [f"kept:\n{a}\nnow:\n{b}" for a, b in zip(old, new, strict=True) if not same(a, b)]


def chosen(names: Sequence[str]) -> list[Path]:
    """Return the notebooks whose names begin with one of some words; without a word, all.

    Raises
    ------
    ValueError
        If no notebook's name begins with a word.
    """
    found = sorted(FOLDER.glob("*.ipynb"))
    if not names:
        return found
    for name in names:
        if not any(path.name.startswith(name) for path in found):
            have = ", ".join(path.stem for path in found)
            raise ValueError(f"no notebook's name begins with {name!r}; there are {have}")
    return [path for path in found if path.name.startswith(tuple(names))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    from nbclient.exceptions import CellExecutionError

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="how a notebook's name begins: 02")
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    given = parser.parse_args(arguments)
    try:
        paths = chosen(given.names)
    except ValueError as error:
        parser.error(str(error))
    status = 0
    for path in paths:
        kept = nbformat.read(path, as_version=4)
        begun = time.monotonic()
        try:
            fresh = normalise(execute(nbformat.read(path, as_version=4)))
        except CellExecutionError as error:
            status = 1
            sys.stdout.write(f"{path.name}: failed, left as it was\n{error}\n")
            continue
        took = time.monotonic() - begun
        if given.check:
            told = differences(kept, fresh)
            status |= bool(told)
            sys.stdout.writelines(f"{path.name}: {text}\n" for text in told)
            continue
        text = nbformat.writes(fresh, indent=1) + "\n"
        same_as_before = path.read_text(encoding="utf-8") == text
        if not same_as_before:
            path.write_text(text, encoding="utf-8")
        outcome = "unchanged" if same_as_before else "written"
        sys.stdout.write(f"{path.name}: {outcome}, {took:.0f} s\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
