"""Run the notebooks and write them back: the one rule for what of them is kept in git.

``python notebooks/build.py`` executes every notebook beside this file in a clean kernel and keeps

* printed text, HTML tables and pictures, so that the notebook can be read on a code host;
* of a widget its picture alone: the live view is made when the notebook is run;
* cell ids derived from the cell's text, and no times, so that a second run changes nothing.

``--check`` writes nothing and exits with status 1 where a notebook differs in more than pictures
and the last digits of numbers.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat

FOLDER = Path(__file__).resolve().parent

#: Kept of an output, in this order of preference for a reader without widgets.
KEPT = ("text/plain", "text/html", "text/markdown", "image/png")

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
    if {"text/html", "image/png"} & set(output.data):
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


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    status = 0
    check = parser.parse_args().check
    for path in sorted(FOLDER.glob("*.ipynb")):
        kept = nbformat.read(path, as_version=4)
        fresh = normalise(execute(nbformat.read(path, as_version=4)))
        if check:
            for text in differences(kept, fresh):
                status = 1
                sys.stdout.write(f"{path.name}: {text}\n")
        else:
            path.write_text(nbformat.writes(fresh, indent=1) + "\n", encoding="utf-8")
            sys.stdout.write(f"{path.name}: written\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
