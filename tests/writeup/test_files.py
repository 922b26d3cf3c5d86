"""The files: the same bytes twice, whole or not at all, with a PDF where there is LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from perfmodel.cli import main
from perfmodel.errors import InputError
from perfmodel.machine import Machine
from perfmodel.writeup import Document, check_folder, compose, contents, files, pdf, write
from perfmodel.writeup.sections import account, answer, safety

pytestmark = pytest.mark.xdist_group("write-up")
LATEX = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")


def test_the_same_question_gives_the_same_bytes(machine: Machine, placeholders: None) -> None:
    some = [answer.blocks, account.blocks, safety.blocks]
    first, again = (contents(compose(machine, draws=20, sections=some)) for _ in range(2))
    assert first == again
    assert any(name.startswith("figures/") for name in first)


def test_the_page_is_whole_by_itself(document: Document) -> None:
    page = contents(document)["write-up.html"].decode()
    loads: list[str] = []
    alts: list[str | None] = []
    levels: list[int] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            loads.extend(v for k, v in given.items() if k in ("src", "href", "data") and v)
            if tag == "img":
                alts.append(given.get("alt"))
            if re.fullmatch("h[1-6]", tag):
                levels.append(int(tag[1]))

    Tags().feed(page)
    assert loads
    assert all(source.startswith("data:image/svg+xml;base64,") for source in loads)
    assert "url(" not in page
    assert all(alts)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_every_figure_of_the_document_is_a_file(document: Document) -> None:
    made = contents(document)
    markdown, latex = made["write-up.md"].decode(), made["write-up.tex"].decode()
    for path in re.findall(r"\]\((figures/[^)]+)\)", markdown):
        assert path in made
    for path in re.findall(r"includegraphics\[[^]]*\]\{([^}]+)\}", latex):
        assert path in made


def test_a_folder_that_holds_something_is_left_alone(document: Document, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    check_folder(folder, force=False)
    (folder / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="--force"):
        check_folder(folder, force=False)
    check_folder(folder, force=True)
    (folder / "write-up.md").write_text("old")
    write(document, folder, pdf=False)
    assert (folder / "mine.txt").read_text() == "keep"
    assert (folder / "write-up.md").read_text().startswith("# When does downgrading")


def test_a_bad_folder_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for folder, said in (
        (tmp_path / "file", "this is a file"),
        (tmp_path / "no" / "out", "there is no folder"),
    ):
        assert main(["write-up", "-o", str(folder)]) == 2
        assert said in capsys.readouterr().err


def test_nothing_is_left_of_a_write_that_fails(
    document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_move", full)
    with pytest.raises(InputError, match="No space left"):
        write(document, tmp_path / "out", pdf=False)
    assert list(tmp_path.iterdir()) == []


def test_without_latex_everything_else_is_written(
    document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf.shutil, "which", lambda _: None)
    paths, reason = write(document, tmp_path / "out")
    assert "there is no pdflatex" in reason
    assert "apt-get install" in reason
    assert {p.suffix for p in paths if p.parent == tmp_path / "out"} == {".md", ".html", ".tex"}


@LATEX
def test_latex_makes_the_same_pdf_twice(document: Document, tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        paths, reason = write(document, tmp_path / name)
        assert reason == ""
        assert tmp_path / name / "write-up.pdf" in paths
        assert not list((tmp_path / name).glob("*.log"))
        made.append((tmp_path / name / "write-up.pdf").read_bytes())
    assert made[0] == made[1]
    assert made[0].startswith(b"%PDF")


@LATEX
def test_nothing_runs_out_of_the_page(document: Document, tmp_path: Path) -> None:
    write(document, tmp_path / "out", pdf=False)
    done = subprocess.run(
        ["pdflatex", "-draftmode", "-interaction=nonstopmode", "write-up.tex"], cwd=tmp_path / "out",
        capture_output=True, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    said = done.stdout.decode("latin-1").replace("\n", " ")
    assert [w for w in re.findall(r"Overfull \\[hv]box \(([\d.]+)pt", said) if float(w) > 3] == []
    assert "Float too large" not in said


@LATEX
def test_what_latex_refuses_is_said_in_its_own_words(tmp_path: Path) -> None:
    source = tmp_path / "t.tex"
    source.write_text(
        "\\documentclass{article}\\usepackage{nosuch}\\begin{document}\\end{document}\n"
    )
    with pytest.raises(pdf.NoPdfError, match=r"nosuch.sty' not found.*apt-get"):
        pdf.compile_pdf(source)
    assert [p.name for p in tmp_path.iterdir()] == ["t.tex"]
