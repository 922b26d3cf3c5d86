"""How long it takes to import the package and to answer the first question, cold, in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from measuring import compared, in_turn

__all__ = ["measured"]

PROGRAMS = {
    "numpy": ["-c", "import numpy"],
    "parts": ["-c", "import numpy, scipy.special, sympy"],
    "import": ["-c", "import perfmodel"],
    "predict": ["-m", "perfmodel", "predict", "--preset", "mail", "--brief"],
}

_MODULES = """
import sys; from collections import Counter; import contextlib, io, json
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    {run}
roots = Counter(m.partition('.')[0] for m in sys.modules)
print(json.dumps([len(sys.modules), roots.most_common(6)]))
"""


def _run(words: list[str]) -> str:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    return done.stdout


def measured(rounds: int = 7) -> list[dict[str, Any]]:
    """Time all in turn, by the wall clock."""
    seconds = in_turn(
        {name: lambda w=words: _run(w) for name, words in PROGRAMS.items()}, rounds,
        time.perf_counter,
    )  # fmt: skip
    rates = {name: [1 / x for x in ran] for name, ran in seconds.items()}
    words = PROGRAMS["predict"][2:]
    loads = {
        "import": json.loads(_run(["-c", _MODULES.format(run="import perfmodel")])),
        "predict": json.loads(_run(["-c", _MODULES.format(
            run=f"from perfmodel.cli import main; main({words!r})")])),
    }  # fmt: skip
    return [
        compared("start", what, peer, "starts/s", rates[name], rates[other]) | {"loads": loads[name]}
        for name, what, other, peer in (
            ("import", "python -c 'import perfmodel', cold", "numpy", "python -c 'import numpy'"),
            ("predict", "perfmodel predict --preset mail --brief, cold", "parts",
             "python -c 'import numpy, scipy.special, sympy'"),
        )
    ]  # fmt: skip
