"""The LaTeX document compiled, where LaTeX is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from perfmodel.errors import PerfmodelError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["COMPILER", "INSTALL", "NoPdfError", "compile_pdf"]

COMPILER = "pdflatex"

#: What the document needs, on Debian.
INSTALL = (
    "apt-get install --no-install-recommends texlive-latex-base texlive-latex-recommended"
    " texlive-fonts-recommended lmodern"
)

#: Seconds after which a run of LaTeX is given up.
_PATIENCE = 120

#: Longtables settle their columns in the second run, and their page breaks in the third.
_RUNS = 3


class NoPdfError(PerfmodelError):
    """There is no PDF, and why; everything else is not affected."""


def compile_pdf(source: Path) -> Path:
    """Compile a document; the same document gives the same bytes.

    Parameters
    ----------
    source : Path
        The ``.tex`` file, with its figures beside it. Its folder is left as it was, but for the PDF.

    Returns
    -------
    Path
        The PDF beside it.

    Raises
    ------
    NoPdfError
        If there is no LaTeX, or it refuses.
    """
    program = shutil.which(COMPILER)
    if program is None:
        raise NoPdfError(f"there is no {COMPILER}. On Debian: {INSTALL}")
    # Dates are those of the epoch: they would make every run's bytes differ.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "TZ": "UTC"}
    words = [program, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", source.name]
    try:
        for _ in range(_RUNS):
            done = subprocess.run(
                words, cwd=source.parent, env=environment, capture_output=True, check=False,
                timeout=_PATIENCE, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            if done.returncode:
                raise NoPdfError(_why(done.stdout.decode("latin-1")))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoPdfError(f"{COMPILER} did not finish ({error})") from None
    finally:
        for suffix in (".aux", ".log", ".out"):
            source.with_suffix(suffix).unlink(missing_ok=True)
    return source.with_suffix(".pdf")


def _why(log: str) -> str:
    """Return LaTeX's own first complaint, and what to install if a package is missing."""
    found = re.search(r"^! (.*)$", log, flags=re.MULTILINE)
    said = found[1].rstrip(".") if found else "it does not say why"
    more = f". On Debian: {INSTALL}" if "not found" in said else ""
    return f"{COMPILER} refuses the document: {said}{more}"
