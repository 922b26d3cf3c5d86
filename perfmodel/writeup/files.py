"""The document as files: Markdown, HTML, LaTeX and PDF, with the figures; all of them or none."""

from __future__ import annotations

import base64
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from perfmodel.errors import InputError
from perfmodel.report.blocks import Heading, Text
from perfmodel.writeup.document import TITLE
from perfmodel.writeup.pdf import NoPdfError, compile_pdf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perfmodel.writeup.document import Document

__all__ = ["NAME", "check_folder", "contents", "write"]

#: Stem of the document's files.
NAME = "write-up"


def contents(document: Document) -> dict[str, bytes]:
    """Return every file but the PDF, by its path within the folder; the same document, the same bytes."""
    from perfmodel.report.html import to_page
    from perfmodel.report.latex import to_latex
    from perfmodel.report.markdown import to_markdown

    pictures = {
        f"figures/{name}": content
        for drawn in document.figures.values()
        for name, content in drawn.files.items()
    }
    headed = [Heading(TITLE, 1), Text(document.subtitle, "dim"), *document.blocks]

    def inlined(path: str) -> str:
        return f"data:image/svg+xml;base64,{base64.b64encode(pictures[path]).decode()}"

    return {
        f"{NAME}.md": to_markdown(headed).encode(),
        f"{NAME}.html": to_page(TITLE, headed, source=inlined).encode(),
        f"{NAME}.tex": to_latex(TITLE, document.blocks, subtitle=document.subtitle).encode(),
        **pictures,
    }


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuse a folder that cannot or must not be written, before any work is done.

    Raises
    ------
    InputError
        If it holds something and `force` is not set, is no folder, or lies in none.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError("this is a file", file=folder, field="--output", expected="a folder")
        if not folder.resolve().parent.is_dir():
            raise InputError(f"there is no folder {str(folder.parent)!r}", file=folder, field="--output",
                             expected="a name in an existing folder")  # fmt: skip
        if folder.is_dir() and any(folder.iterdir()) and not force:
            raise InputError("the folder is not empty and nothing in it is overwritten", file=folder,
                             field="--output", expected="another name, or --force")  # fmt: skip
    except (OSError, ValueError) as error:  # too long a name, a NUL in it
        raise InputError(f"cannot be written ({error})", file=folder, field="--output") from None


def write(
    document: Document, folder: Path, *, pdf: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[list[Path], str]:  # fmt: skip
    """Write the document into a folder.

    Everything is made in a temporary folder beside it. A folder that is not there comes into being
    whole; in one that is there each file is replaced whole, and nothing else is touched.

    Parameters
    ----------
    document : Document
    folder : Path
    pdf : bool
        Whether to compile the LaTeX, too.
    progress : callable
        Told in a few words what is being done.

    Returns
    -------
    list of Path, str
        The files, and why there is no PDF; empty where there is one, or none was asked for.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=folder.resolve().parent, prefix=".write-up-") as name:
            aside, reason = Path(name) / "made", ""
            progress("writing")
            _put(contents(document), aside)
            if pdf:
                progress("LaTeX")
                try:
                    compile_pdf(aside / f"{NAME}.tex")
                except NoPdfError as error:
                    reason = str(error)
            made = sorted(p.relative_to(aside) for p in aside.rglob("*") if p.is_file())
            _move(aside, folder, made)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", file=folder) from None
    return [folder / path for path in made], reason


def _put(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _move(aside: Path, folder: Path, files: list[Path]) -> None:
    if not folder.exists():
        shutil.move(aside, folder)
        return
    for path in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (aside / path).replace(folder / path)
