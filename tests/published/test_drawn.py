"""The figure of the published pairs: every number drawn, unknown ones as unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text

pytest.importorskip("yaml")

from perfmodel.figures import Inputs, new_figure, published
from perfmodel.figures.writing import make
from perfmodel.machine import Constant, Machine

KIND = published.FIGURE


def _texts(machine: Machine) -> tuple[object, list[str]]:
    spec = KIND.build(Inputs(machine))
    figure = new_figure(*KIND.size)
    KIND.draw(spec, figure)
    figure.draw_without_rendering()
    return spec, [t.get_text() for t in figure.findobj(Text)]


def test_every_number_has_its_line(machine: Machine) -> None:
    spec, texts = _texts(machine)
    for c in spec.shown:
        assert f"{c.pair} {c.what}" in texts
    head, rows = KIND.rows(spec)
    assert len(rows) == len(spec.shown)
    assert {len(r) for r in rows} == {len(head)}
    assert str(spec.table.hits) in KIND.title(spec)
    for result in spec.table.results:
        assert result.note in KIND.caption(spec)
    assert "nan" not in KIND.caption(spec)


def test_unknown_constants_are_drawn_as_unknown(machine: Machine) -> None:
    constants = {**machine.constants, "zap": Constant(value=None, unit="ns", source="none")}
    blind = replace(machine, constants=constants, covariance_names=(), covariance=np.zeros((0, 0)))
    spec, texts = _texts(blind)
    assert spec.table.unknown == 1
    assert sum("unknown" in t for t in texts) == 1
    assert "1 are unknown" in KIND.caption(spec)


def test_the_files_are_made_and_made_alike(machine: Machine) -> None:
    one, two = (make(KIND, Inputs(machine), ("svg",)) for _ in range(2))
    assert one == two
    assert set(one) == {"published.svg", "published.md", "published.csv"}
