r"""Blocks as a LaTeX document that a plain TeX Live compiles; every text is escaped.

What a reader without LaTeX sees as "Figure 3" is called so here too: captions carry the blocks' own
labels and no counter of LaTeX's.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from typing import TYPE_CHECKING

from perfmodel.report.blocks import (
    Block,
    Bullets,
    Cell,
    Code,
    Formula,
    Heading,
    Picture,
    Table,
    Text,
    plain,
    printable,
    stands_out,
)
from perfmodel.report.widths import widths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["PACKAGES", "escape", "to_latex"]

#: Packages of texlive-latex-base, texlive-latex-recommended and lmodern, with their options.
PACKAGES = (
    ("fontenc", "T1"), ("inputenc", "utf8"), ("lmodern", ""), ("textcomp", ""),
    ("geometry", "hmargin=20mm,top=17mm,bottom=19mm,footskip=9mm"), ("amsmath", ""), ("array", ""),
    ("booktabs", ""), ("longtable", ""), ("graphicx", ""),
    ("caption", "font=small,labelfont=bf,singlelinecheck=false,tableposition=top,skip=5pt"),
    ("microtype", ""), ("hyperref", "hidelinks"),
)  # fmt: skip

#: Without dates and identifiers the same text gives the same file.
_PREAMBLE = r"""\ifdefined\pdfinfoomitdate \pdfinfoomitdate=1 \pdftrailerid{} \pdfsuppressptexinfo=-1 \fi
\setlength{\parindent}{0pt}\setlength{\parskip}{5pt plus 2pt}
\setlength{\tabcolsep}{4pt}\renewcommand{\arraystretch}{0.95}\setlength{\LTleft}{0pt}
\makeatletter
\renewcommand{\section}{\@startsection{section}{1}{0pt}{-12pt plus -4pt}{4pt}{\large\bfseries}}
\renewcommand{\subsection}{\@startsection{subsection}{2}{0pt}{-9pt plus -3pt}{3pt}{\normalsize\bfseries}}
\makeatother
\AtBeginDocument{\setlength{\LTcapwidth}{\textwidth}%
\setlength{\abovedisplayskip}{3pt}\setlength{\belowdisplayskip}{3pt}}
\setlength{\LTpre}{6pt}\setlength{\LTpost}{6pt}
\setlength{\emergencystretch}{3em}
\setlength{\textfloatsep}{12pt plus 4pt}\setlength{\floatsep}{10pt plus 4pt}\setlength{\intextsep}{8pt plus 4pt}
\renewcommand{\topfraction}{0.9}\renewcommand{\bottomfraction}{0.8}
\setcounter{topnumber}{3}\setcounter{totalnumber}{4}
\renewcommand{\textfraction}{0.07}\renewcommand{\floatpagefraction}{0.8}"""

#: Of the line: what a figure made for one column takes, and its caption beside it.
_COLUMN = 0.485

#: Characters up to which a table is kept on one page.
_TOGETHER = 1800

_SECTIONS = {2: "section", 3: "subsection", 4: "subsubsection"}

#: TeX's own characters, what T1's ligatures would change, and what has a name of its own.
_NAMED = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
    "-": "-{}", ",": ",{}", "!": "!{}", "?": "?{}", "[": "{[}", "]": "{]}",
    "\N{MICRO SIGN}": r"\textmu{}", "\N{GREEK SMALL LETTER MU}": r"\textmu{}",
    "\N{PLUS-MINUS SIGN}": r"$\pm$", "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{DIVISION SIGN}": r"$\div$", "\N{MINUS SIGN}": "$-$", "\N{LESS-THAN OR EQUAL TO}": r"$\le$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\ge$", "\N{ALMOST EQUAL TO}": r"$\approx$",
    "\N{RIGHTWARDS ARROW}": r"$\to$", "\N{INFINITY}": r"$\infty$", "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{DEGREE SIGN}": r"\textdegree{}", "\N{EN DASH}": r"\textendash{}", "\N{EM DASH}": r"\textemdash{}",
    "\N{HORIZONTAL ELLIPSIS}": r"\dots{}", "\N{LEFT DOUBLE QUOTATION MARK}": r"\textquotedblleft{}",
    "\N{RIGHT DOUBLE QUOTATION MARK}": r"\textquotedblright{}",
    "\N{LEFT SINGLE QUOTATION MARK}": r"\textquoteleft{}",
    "\N{RIGHT SINGLE QUOTATION MARK}": r"\textquoteright{}", "\N{SECTION SIGN}": r"\S{}",
    "\N{SUPERSCRIPT TWO}": "$^2$", "\N{NO-BREAK SPACE}": "~", "\N{BULLET}": r"\textbullet{}",
}  # fmt: skip

#: Greek letters that have a command of their own, small and capital.
_GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "nu",
    "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
    "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega",
)  # fmt: skip


def _character(c: str) -> str:
    """Return one character as LaTeX of T1; what the font has not is named by its code point."""
    if c in _NAMED:
        return _NAMED[c]
    # The letters of Latin-1 are all in T1.
    if c.isascii() or ("\N{LATIN CAPITAL LETTER A WITH GRAVE}" <= c <= "\xff"):
        return c
    if greek := re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", unicodedata.name(c, "")):
        name = greek[2].lower().replace("lamda", "lambda")
        if (name := name if greek[1] == "SMALL" else name.capitalize()) in _GREEK:
            return rf"$\{name}$"
    plainer = unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode()
    letters = plainer.isalnum() and plainer.isprintable()
    return plainer if letters else f"{{[}}U+{ord(c):04X}{{]}}"


def escape(text: str) -> str:
    """Return a text in which LaTeX sees nothing but characters, on one line."""
    line = " ".join(printable(text).split())
    # An apostrophe before a word opens a quotation.
    line = re.sub(r"(?<![\w'])'(?=\w)", "\N{LEFT SINGLE QUOTATION MARK}", line)
    return re.sub(r"(?s).", lambda m: _character(m[0]), line)


def to_latex(
    title: str,
    blocks: Iterable[Block],
    *,
    subtitle: str = "",
    source: Callable[[str], str] = lambda path: re.sub(r"\.\w+$", ".pdf", path),
) -> str:
    """Return the blocks as a document.

    Parameters
    ----------
    title, subtitle : str
        The subtitle stands in the place of author and date.
    blocks : iterable of Block
    source : callable
        Path of a figure to the path that LaTeX includes. Default: the PDF of the same name.

    Returns
    -------
    str
        Ends in a newline.

    Raises
    ------
    ValueError
        If the path of a figure holds characters that LaTeX would not take as they are.
    """
    uses = "\n".join(rf"\usepackage{f'[{o}]' if o else ''}{{{name}}}" for name, o in PACKAGES)
    body = "\n\n".join(filter(None, (_run(run, source) for run in _runs(blocks))))
    head = (
        f"\\title{{\\vspace{{-12mm}}{escape(title)}\\vspace{{-4mm}}}}\n\\author{{}}\n"
        f"\\date{{\\vspace{{-8mm}}\\small {escape(subtitle)}}}\n"
    )
    return (
        f"\\documentclass[10pt,a4paper]{{article}}\n{uses}\n{_PREAMBLE}\n"
        f"\\hypersetup{{pdftitle={{{escape(title)}}}}}\n{head}"
        f"\\begin{{document}}\n\\maketitle\n\n{body}\n\n\\end{{document}}\n"
    )


def _runs(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Return the blocks in order, those together that are set as one: formulas, and narrow pictures."""

    def kind(block: Block) -> str:
        if isinstance(block, Picture) and block.narrow:
            return "narrow"
        return "formula" if isinstance(block, Formula) else ""

    for name, some in groupby(blocks, kind):
        if name == "formula":
            yield list(some)
        else:
            run, size = list(some), 2 if name else 1
            yield from (run[i : i + size] for i in range(0, len(run), size))


def _run(run: Sequence[Block], source: Callable[[str], str]) -> str:
    if isinstance(run[0], Formula):
        return _formulas([b for b in run if isinstance(b, Formula)])
    if isinstance(run[0], Picture):
        return _pictures([(b, source(b.path)) for b in run if isinstance(b, Picture)])
    return _render(run[0])


def _render(block: Block) -> str:
    match block:
        case Heading(text, level):
            return rf"\{_SECTIONS.get(max(level, 2), 'paragraph')}{{{escape(text)}}}"
        case Text(text, tone):
            words = escape(text)
            if stands_out(block):
                return rf"\textbf{{{words}}}"
            return rf"{{\small {words}\par}}" if tone == "dim" else words
        case Bullets(items):
            return _bullets(items)
        case Code(text):
            return _code(text)
        case Table():
            return _table(block)
    raise TypeError(f"{type(block).__name__} is set with others")


def _formulas(formulas: Iterable[Formula]) -> str:
    lines = [f.latex + (rf" \tag{{{f.label}}}" if f.label else r" \notag") for f in formulas]
    return "\\begin{gather}\n" + "\\\\\n".join(lines) + "\n\\end{gather}"


def _bullets(items: Iterable[str]) -> str:
    lines = [rf"\item {escape(i)}" for i in items]
    if not lines:
        return ""
    tight = r"\small\setlength{\itemsep}{1pt}\setlength{\parskip}{0pt}\raggedright"
    # The list's own skips come on top of those of paragraphs.
    return "\n".join(
        [rf"\vspace{{-5pt}}\begin{{itemize}}{tight}", *lines, r"\end{itemize}\vspace{-5pt}"]
    )


def _code(text: str) -> str:
    """Return lines in a typewriter face; spaces and quotes stay what they are."""
    lines = []
    for line in printable(text).splitlines():
        shown = "".join(
            r"\ " if c == " " else r"\textquotesingle{}" if c == "'" else _character(c)
            for c in line
        )
        lines.append(rf"\mbox{{}}{shown}")
    inner = "\\\\\n".join(lines)
    return f"\\begin{{quote}}\\small\\ttfamily\\raggedright\n{inner}\n\\end{{quote}}"


def _pictures(pictures: Sequence[tuple[Picture, str]]) -> str:
    """Return a float: a wide figure over its caption; narrow ones side by side, or beside the caption."""
    made = []
    for picture, path in pictures:
        if not re.fullmatch(r"[A-Za-z0-9_./-]+", path):
            raise ValueError(f"{path!r} is no path that LaTeX takes as it is")
        made.append((rf"\includegraphics[width=\linewidth]{{{path}}}", _caption(picture)))
    if not pictures[0][0].narrow:
        inner = "\n".join(made[0])
    elif len(made) == 1:
        inner = "\\hfill\n".join(_beside("c", part) for part in made[0])
    else:
        inner = "\\hfill\n".join(_beside("t", f"{p}\n{c}") for p, c in made)
    return f"\\begin{{figure}}[htbp]\n{inner}\n\\end{{figure}}"


def _beside(place: str, inner: str) -> str:
    # At the top: a picture's foot is its baseline, which would hang it above its neighbour.
    top = r"\vspace{0pt}" if place == "t" else ""
    return f"\\begin{{minipage}}[{place}]{{{_COLUMN}\\linewidth}}{top}%\n{inner}\n\\end{{minipage}}"


def _caption(block: Picture | Table) -> str:
    label = rf"\textbf{{{escape(block.label)}.}} " if block.label else ""
    return rf"\caption*{{{label}{escape(block.caption)}}}"


def _table(table: Table) -> str:
    """Return a table that has a name as a float, a nameless one where it stands, a long one over pages."""
    size = sum(len(plain(cell)) for row in table.rows for cell in row)
    rows = "".join(" & ".join(map(_cell, row)) + "\\\\\n" for row in table.rows)
    head = " & ".join(rf"\textbf{{{escape(c.name)}}}" for c in table.columns) + "\\\\\n"
    columns = f"{{@{{}}{''.join(_columns(table))}@{{}}}}"
    if size > _TOGETHER:
        caption = _caption(table) + "\\\\\n" if table.label or table.caption else ""
        return (
            f"{{\\footnotesize\n\\begin{{longtable}}{columns}\n{caption}"
            f"\\toprule\n{head}\\midrule\n\\endfirsthead\n\\toprule\n{head}\\midrule\n\\endhead\n"
            f"\\bottomrule\n\\endfoot\n{rows}\\end{{longtable}}}}"
        )
    inner = (
        f"{{\\footnotesize\\begin{{tabular}}[t]{columns}\n\\toprule\n{head}\\midrule\n{rows}"
        "\\bottomrule\n\\end{tabular}}"
    )
    if table.label:
        return f"\\begin{{table}}[htbp]\n{_caption(table)}\n{inner}\n\\end{{table}}"
    caption = rf"{{\small {escape(table.caption)}\par}}" + "\n" if table.caption else ""
    return f"\\noindent\\begin{{minipage}}{{\\linewidth}}\n{caption}{inner}\n\\end{{minipage}}\\par"


def _columns(table: Table) -> Iterable[str]:
    """Return the column types: as wide as their cells, or broken into lines where that is too wide."""
    for column, width in zip(table.columns, widths(table), strict=True):
        if width is None:
            yield "r" if column.right else "l"
        else:
            side = r"\raggedleft" if column.right else r"\raggedright"
            yield rf">{{{side}\arraybackslash}}p{{{width:.1f}pt}}"


def _cell(cell: Cell) -> str:
    if isinstance(cell, Formula):
        return f"${cell.latex}$"
    text = escape(plain(cell))
    return rf"\textbf{{{text}}}" if stands_out(cell) else text
