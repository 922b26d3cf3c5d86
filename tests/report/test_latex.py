"""The LaTeX renderer: nothing of a text is a command, nothing is lost in silence, tables fit the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.report.blocks import (
    Bullets,
    Code,
    Column,
    Formula,
    Heading,
    Mark,
    Picture,
    Table,
    Text,
)
from perfmodel.report.html import to_page
from perfmodel.report.latex import escape, to_latex
from perfmodel.report.markdown import to_markdown
from perfmodel.report.widths import BETWEEN, PAGE, widths

NASTY = (
    r"""\input{/etc/passwd} 50 % of $x_1$ & #1 ~ ^ {a} "q" 'b' `c` -- --- << >> ,, ?` !` a|b [x]"""
    " é µs ± ≤ → ∞ λ Ω 漢 ﬁ"
)

#: Commands that `escape` may write; whatever else follows a backslash would be the text's own.
COMMANDS = re.compile(
    r"\\(?:text[a-z]+\{\}|dots\{\}|S\{\}|[{}$&#%_]|(?:pm|times|div|le|ge|approx|to|infty|cdot)\b"
    r"|(?:alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|nu|xi|pi|rho|sigma|tau|upsilon|phi"
    r"|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega)\$)"
)


@given(st.text())
def test_a_text_is_never_a_command(text: str) -> None:
    written = escape(text)
    rest = COMMANDS.sub("", written)
    assert "\\" not in rest
    assert not set(rest) & set("#%&_^") - {"^"}
    assert all(c.isascii() or "À" <= c <= "ÿ" for c in written)
    plain = COMMANDS.sub("", written)
    assert plain.count("{") == plain.count("}")


@given(st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1))
def test_ligatures_and_quotes_keep_their_characters(text: str) -> None:
    written = escape(text)
    for pair in ("--", ",,", "<<", ">>", "``", "?`", "!`"):
        assert pair not in written


def test_what_the_font_has_not_is_named() -> None:
    assert escape("漢") == "{[}U+6F22{]}"
    assert escape("ﬁ č") == "fi c"
    assert escape("λ µs ≤ 5 %") == r"$\lambda$ \textmu{}s $\le$ 5 \%"
    assert escape("half 'a usec'") == r"half \textquoteleft{}a usec'"


cell = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=90)


@given(st.integers(1, 7).flatmap(
    lambda n: st.tuples(st.lists(st.booleans(), min_size=n, max_size=n),
                        st.lists(st.lists(cell, min_size=n, max_size=n), min_size=1, max_size=5))))  # fmt: skip
def test_a_table_fits_the_page(made: tuple[list[bool], list[list[str]]]) -> None:
    rights, rows = made
    table = Table([Column(f"c{i}", right) for i, right in enumerate(rights)], rows)
    found = widths(table)
    fixed = [w for w in found if w is not None]
    if fixed:
        assert sum(fixed) <= PAGE - BETWEEN * (len(rights) - 1) + 1e-6
        assert all(w > 0 for w in fixed)


def test_a_short_table_is_as_wide_as_its_cells() -> None:
    assert widths(Table([Column("a"), Column("b", True)], [["x", "1"]])) == [None, None]


FORMULA = Formula(r"\frac{\lambda_r \overline{Y^2}}{2}", "lambda_r*window_2/2", "7")
BLOCKS = [
    Heading(NASTY, 2), Text(NASTY), Text(NASTY, "bad"), Text(NASTY, "dim"), Bullets([NASTY]), Bullets([]),
    Code(f"{NASTY}\nperfmodel safety --transition 'RW->R'"), FORMULA,
    Table([Column(NASTY, wrap=True), Column("n", True)], [[NASTY, Mark("1", "bad")], [FORMULA, "2"]],
          NASTY, "Table 1"),
    Table([Column("n", True)], [["1"]]),
]  # fmt: skip


def test_labels_are_the_same_in_every_format() -> None:
    picture = Picture(
        "figures/a.svg", "What is seen.", "for who cannot see", "every number", "Figure 3"
    )
    blocks = [*BLOCKS, picture]
    latex, markdown, page = to_latex("t", blocks), to_markdown(blocks), to_page("t", blocks)
    assert r"\caption*{\textbf{Figure 3.} What is seen.}" in latex
    assert r"\includegraphics[width=\linewidth]{figures/a.pdf}" in latex
    assert "*Figure 3. What is seen.*" in markdown
    assert "Figure 3. What is seen." in page
    assert 'alt="for who cannot see"' in page
    for shown in (markdown, page):
        assert "every number" in shown
    assert r"\tag{7}" in latex
    assert r"\tag{7}" in markdown
    assert '<svg class="math" role="img" aria-label="lambda_r*window_2/2"' in page
    assert "<span>(7)</span>" in page


def test_a_formula_that_cannot_be_drawn_is_said() -> None:
    page = to_page("t", [Formula(r"\begin{cases}1\end{cases}", "one <always>")])
    assert "<code>one &lt;always&gt;</code>" in page


def test_a_path_that_latex_would_read_is_refused() -> None:
    with pytest.raises(ValueError, match="no path"):
        to_latex("t", [Picture("a%b.svg", "c")])


def test_narrow_figures_stand_beside_each_other_or_their_caption() -> None:
    narrow = [
        Picture(f"{name}.svg", f"Of {name}.", label=f"Figure {name}", narrow=True) for name in "abc"
    ]
    floats = to_latex("t", [*narrow, Text("between"), narrow[0]]).split(r"\begin{figure}")[1:]
    shown = [re.findall(r"\{(\w)\.pdf\}", one) for one in floats]
    assert shown == [["a", "b"], ["c"], ["a"]]
    for one in floats:
        assert one.count(r"\begin{minipage}") == 2
        assert all(f"Of {name}." in one for name in re.findall(r"\{(\w)\.pdf\}", one))


def test_formulas_in_a_row_are_set_together_and_in_order() -> None:
    some = [Formula(x, x, str(i)) for i, x in enumerate("abc")]
    latex = to_latex("t", [*some[:2], Text("then"), some[2]])
    assert latex.count(r"\begin{gather}") == 2
    assert re.findall(r"(\w) \\tag\{(\d)\}", latex) == [("a", "0"), ("b", "1"), ("c", "2")]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
def test_latex_takes_whatever_a_text_holds(tmp_path: Path) -> None:
    # Every character of the planes that a terminal shows, in lines of words.
    every = [chr(c) for c in range(0x20, 0x3000) if chr(c).isprintable()]
    lines = [" ".join(every[i : i + 60]) for i in range(0, len(every), 60)]
    (tmp_path / "t.tex").write_text(to_latex(NASTY, [*BLOCKS, Bullets(lines)], subtitle=NASTY))
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode("latin-1")[-1500:]
    assert "Missing character" not in (tmp_path / "t.log").read_text("latin-1")
