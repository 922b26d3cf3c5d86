"""Numbers in words, and one content in three formats, each with its own escaping."""

from __future__ import annotations

import io
import math
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from perfmodel.machine import Machine, shipped_profiles
from perfmodel.prediction import predict
from perfmodel.report import numbers as say
from perfmodel.report import prediction_html, prediction_table
from perfmodel.report.blocks import Bullets, Column, Heading, Mark, Picture, Table, Text
from perfmodel.report.html import to_fragment, to_page
from perfmodel.report.markdown import to_markdown
from perfmodel.report.terminal import to_rich
from perfmodel.scenario import Call, Scenario

EVIL = "<script>alert('1')</script> a|b *c* _d_ [e](f) `g` \x1b[31mred\x07"


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0"), (0.0004, "<0.1 ns"), (-0.0004, "-<0.1 ns"), (3.14159, "3.14 ns"), (714, "714 ns"),
        (999.9, "1.00 us"), (1427.8, "1.43 us"), (-2.5e6, "-2.50 ms"), (7.2e10, "72.0 s"),
        (math.nan, "unknown"), (math.inf, "unknown"),
    ],
)  # fmt: skip
def test_times(ns: float, text: str) -> None:
    assert say.time_text(ns) == text


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((1427.8, 1256.0, 1688.3), "+1.43 us [1.26, 1.69]"),
        ((10_837_456, 9_681_961, 13_139_082), "+10.8 ms [9.7, 13.1]"),
        ((-135, -165, -72), "-135 ns [-165, -72]"),
        ((10.0, 0.01, 500.0), "+10 ns [0.01, 500]"),
        ((5.0, 5.0, 5.0), "+5.00 ns"),
        ((math.nan,) * 3, "unknown"),
    ],
)
def test_gains_have_no_more_digits_than_their_interval(interval, text) -> None:
    assert say.gain_text(*interval) == text


@given(st.floats(-1e12, 1e12), st.floats(0, 1e12), st.floats(0, 1e12))
def test_a_gain_never_loses_its_sign(estimate: float, below: float, above: float) -> None:
    text = say.gain_text(estimate, estimate - below, estimate + above)
    if estimate > 1e-6:
        assert text.startswith("+")
    elif estimate < -1e-6:
        assert text.startswith("-")


@given(st.floats(-1e15, 1e15, allow_nan=False), st.integers(1, 6))
def test_numbers_keep_their_digits(value: float, digits: int) -> None:
    shown = float(say.number_text(value, digits))
    assert shown == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits), abs=1e-300)


def test_probabilities_are_as_sure_as_the_draws() -> None:
    assert say.probability_text(1.0, 400) == ">0.99"
    assert say.probability_text(0.0, 400) == "<0.01"
    assert say.probability_text(1.0, 50) == ">0.98"
    assert say.probability_text(0.37, 400) == "0.37"
    assert say.probability_text(1.0, 1) == "n/a"
    assert say.probability_text(math.nan, 400) == "n/a"


def test_the_spread_decides_on_the_digits() -> None:
    rng = np.random.default_rng(1)
    narrow = np.concatenate([[315_000.0], 315_000 * np.exp(0.01 * rng.standard_normal(200))])
    wide = np.concatenate([[315_000.0], 315_000 * np.exp(0.2 * rng.standard_normal(200))])
    assert say.time_with_spread(narrow) == "315 us"
    assert say.time_with_spread(wide) == "320 us"


class Tags(HTMLParser):
    """Collects the tags and the text of a page, and checks that they close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, _attrs):
        self.seen.append(tag)
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


BLOCKS = [
    Heading(EVIL, 2), Text(EVIL), Text(EVIL, "bad"), Bullets([EVIL]), Bullets([]),
    Table([Column(EVIL), Column("n", True)], [[EVIL, Mark(EVIL, "bad")]], EVIL),
    Picture("a b(c).svg", EVIL),
]  # fmt: skip


def test_html_escapes_everything() -> None:
    page = Tags()
    page.feed(to_page(EVIL, BLOCKS))
    assert page.open == []
    assert "script" not in page.seen
    assert "<script>alert('1')</script>" in page.text


def test_markdown_escapes_everything() -> None:
    text = to_markdown(BLOCKS)
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(row.count("|") - row.count("\\|") == 3 for row in rows)
    assert "](f)" not in text.replace("\\](f)", "")
    assert "a%20b%28c%29.svg" in text
    assert to_markdown([Text("# no heading"), Text("- no list"), Text("1. no list")]) == (
        "\\# no heading\n\n\\- no list\n\n\\1. no list\n"
    )


def test_a_terminal_is_not_steered() -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(to_rich([*BLOCKS, Text("[bold]kept[/bold]")]))
    text = out.getvalue()
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]kept[/bold]" in text


def test_a_table_must_be_whole() -> None:
    with pytest.raises(ValueError, match="1 cells under 2 columns"):
        Table([Column("a"), Column("b")], [["x"]])


@pytest.fixture(scope="module")
def prediction():
    machine = Machine.load(next(iter(shipped_profiles())))
    call = Call("munmap", pages=64)
    return predict(Scenario(machine=machine, call=call), draws=25)


def test_a_prediction_in_terminal_and_notebook_says_the_same(prediction) -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(prediction_table(prediction))
    page = Tags()
    page.feed(prediction_html(prediction))
    assert page.open == []
    for words in (
        "every-vma",
        "n/a",
        "25 draws",
        "does not apply",
        "safe",
        prediction.verdict.policy,
    ):
        assert words in out.getvalue()
        assert words in page.text
    assert max(map(len, out.getvalue().splitlines())) <= 100
    assert prediction._repr_html_() == prediction_html(prediction)


def test_a_fragment_has_one_root() -> None:
    assert to_fragment([]).startswith('<div class="perfmodel">')


def test_a_table_loses_nothing_where_it_is_too_wide() -> None:
    cells = [f"{'word' * 3}-{i} us" for i in range(9)]
    out = io.StringIO()
    Console(file=out, width=100).print(
        to_rich([Table([Column(f"column {i}", True) for i in range(9)], [cells])])
    )
    letters = "".join(out.getvalue().split())
    assert letters.count("us") == 9
    assert all(letters.count(f"-{i}") for i in range(9))


def test_shares_and_counts() -> None:
    assert say.share_text(0.5) == "50.0%"
    assert say.share_text(0.00069) == "0.069%"
    assert say.share_text(1e-9) == "<0.001%"
    assert say.share_text(0.0) == "0%"
    assert say.share_text(math.nan) == "unknown"
    assert say.error_text(-0.034) == "-3.4%"
    assert say.error_text(0.34) == "34%"
    assert say.error_text(math.nan) == "not predicted"
