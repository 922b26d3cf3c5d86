"""The tables of the page of failures say what was computed."""

from __future__ import annotations

from pathlib import Path

from perfmodel.figures import textbook_rule
from perfmodel.observations import Group, ObservationTable, Source
from perfmodel.report.failures import rules_markdown, spread_markdown

PAGE = Path(__file__).parents[2] / "notebooks" / "when-this-model-is-wrong.md"


def _group(values: list[float], counts: list[int]) -> Group:
    source = Source("run.json", "bench_json", "A", "0" * 64)
    conditions = {"benchmark": "call_latency", "pages": 1}
    return Group("mprotect", "call", conditions, values, values, counts, source)  # type: ignore[arg-type]


def test_a_row_for_every_case_and_a_column_for_every_rule() -> None:
    cases = (
        textbook_rule.Case("alone", (9.964, 9.482, 9.48, 9.48), (0.0, 0.0, 0.0, 0.0)),
        textbook_rule.Case("many", (12.34, 2.0, 2.1, 2.2), (0.2, 0.0, 0.0, 0.0)),
    )
    lines = rules_markdown(textbook_rule.Spec((), (), cases, {})).splitlines()
    assert len(lines) == 2 + len(cases)
    assert lines[2] == "| alone | 9.96 | 9.48 | 9.48 | 9.48 |"
    assert lines[3].startswith("| many | 12.3 ± 0.2 | 2.00 |")


def test_spread_of_known_events() -> None:
    # Half of the events at 1 us, half at 3 us: mean 2, deviation 1. Ten events say nothing.
    table = ObservationTable((_group([1000.0, 3000.0], [60, 60]), _group([1.0, 1e9], [5, 5])))
    lines = spread_markdown(table).splitlines()
    assert len(lines) == 3
    row = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert row[:4] == ["a whole call, nothing else running", "1", "0.50", "0.50"]


def test_the_page_is_filled() -> None:
    text = PAGE.read_text()
    sections = text.split("<!-- generated: ")[1:]
    assert len(sections) >= 9
    for section in sections:
        name, _, rest = section.partition(" -->")
        assert rest.partition("<!-- end -->")[0].strip(), name
    assert "nan" not in text.lower().split()
