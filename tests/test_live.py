"""The small widget of the notebooks: what a moved control draws, and what stands for it elsewhere."""

from __future__ import annotations

import base64

import pytest

ipw = pytest.importorskip("ipywidgets")
pytest.importorskip("anywidget")

from perfmodel.errors import InputError  # noqa: E402
from perfmodel.figures.kind import Drawn  # noqa: E402
from perfmodel.live import Live, curves  # noqa: E402

PNG = b"\x89PNG\r\n\x1a\n"


def picture(pages: int) -> Drawn:
    if pages > 4:
        raise InputError(f"{pages} <pages>", field="pages", expected="at most 4")
    return Drawn(PNG + bytes([pages]), f"{pages} pages")


def test_a_move_draws_once() -> None:
    live = Live(picture, pages=ipw.IntSlider(1, 0, 9))
    before = live.view.rev
    live.controls["pages"].value = 3
    assert live.view.rev == before + 1
    assert live.view.png == PNG + b"\x03"
    assert live.view.alt == "3 pages"
    assert "3 pages" in live.text.value


def test_what_cannot_be_drawn_is_told_and_the_picture_stays() -> None:
    live = Live(picture, pages=ipw.IntSlider(1, 0, 9))
    live.controls["pages"].value = 7
    assert 'role="alert"' in live.alert.value
    assert "7 &lt;pages&gt;" in live.alert.value
    assert live.view.alt == "1 pages"
    live.controls["pages"].value = 2
    assert live.alert.value == ""


def test_what_cannot_be_drawn_at_first_stops_the_notebook() -> None:
    with pytest.raises(InputError, match="at most 4"):
        Live(picture, pages=ipw.IntSlider(9, 0, 9))


def test_without_widgets_the_first_picture_or_table_stands_for_it() -> None:
    shown = Live(picture, pages=ipw.IntSlider(1, 0, 9))._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]) == PNG + b"\x01"
    table = Live(lambda pages: f"<b>{pages}</b>", pages=ipw.IntSlider(1, 0, 9))._repr_mimebundle_()
    assert table["text/html"] == "<b>1</b>"
    assert "image/png" not in table


def test_a_control_is_named_by_its_parameter_unless_it_has_a_name() -> None:
    live = Live(lambda other_cpus, pages: f"{other_cpus} {pages}", other_cpus=ipw.IntSlider(1),
                pages=ipw.IntSlider(2, description="pages, power of 2"))  # fmt: skip
    names = {name: control.description for name, control in live.controls.items()}
    assert names == {"other_cpus": "other cpus", "pages": "pages, power of 2"}


def test_curves_are_a_picture_that_says_where_its_lines_end() -> None:
    drawn = curves([1, 2, 4], {"a": [1, 2, 3], "b": [3, 2, 1]}, title="They cross", x_label="x",
                   y_label="y", at=2.0)  # fmt: skip
    assert drawn.png.startswith(PNG)
    assert drawn.caption == "y, from the left end to the right one: a 1 to 3; b 3 to 1."
    again = curves([1, 2, 4], {"a": [1, 2, 3], "b": [3, 2, 1]}, title="They cross", x_label="x",
                   y_label="y", at=2.0)  # fmt: skip
    assert again.png == drawn.png


def test_more_lines_than_colours_are_refused() -> None:
    with pytest.raises(InputError, match="5 lines"):
        curves([1], {str(i): [i] for i in range(5)}, title="", x_label="", y_label="")
