from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

pytest.importorskip("ipywidgets")
pytest.importorskip("anywidget")

import perfmodel as pm
from perfmodel.errors import InputError
from perfmodel.scenario import Policy
from perfmodel.verdict import time_text
from perfmodel.widgets import travel
from perfmodel.widgets.comparison import answers, differences
from perfmodel.widgets.export import picture_files
from perfmodel.widgets.shown import VIEWS, Exploration, Pin, Shown
from perfmodel.widgets.state import mail_case
from perfmodel.widgets.views import KINDS, Canvas, Question, Scene, breakmap, curve
from perfmodel.widgets.views.png import png_bytes
from perfmodel.widgets.views.scales import decades
from perfmodel.widgets.views.stamp import Picture, Stamp


@pytest.fixture(autouse=True)
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve, "DRAWS", 3)
    monkeypatch.setattr(curve, "POINTS", 5)
    monkeypatch.setattr(breakmap, "POINTS", 4)


@pytest.fixture(scope="module")
def large() -> pm.Scenario:
    s = mail_case()
    return pm.Scenario(s.machine, s.kernel, pm.Call(pages=16384), pm.Faults(threads=32))


@pytest.fixture(scope="module")
def predicted(large: pm.Scenario) -> tuple[pm.Prediction, pm.Prediction]:
    return pm.predict(mail_case(), draws=20), pm.predict(large, draws=20)


def scene_of(name: str, prediction: pm.Prediction, *pins: Pin) -> tuple[Any, Scene]:
    shown = Shown(name, "pages", "cpus")
    question = Question(prediction.scenario, shown, Policy.LAST_VMA, pins)
    view = KINDS[name](Canvas())
    heavy = view.key(question) is not None
    result = view.compute(question, lambda _: None) if heavy else None
    return view, Scene(question, prediction, result)


def test_every_name_has_its_view() -> None:
    assert set(KINDS) == set(VIEWS)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_follows_from_one_scenario_to_another_and_back(
    name: str, predicted: tuple[pm.Prediction, pm.Prediction]
) -> None:
    view, first = scene_of(name, predicted[0], Pin("A", predicted[1].scenario))
    _, second = scene_of(name, predicted[1])
    alt = view.update(first)
    png = view.canvas.png()
    assert png == view.canvas.png(whole=True)
    other = view.update(second)
    assert other != alt
    assert view.canvas.png() != png
    assert view.canvas.png() == view.canvas.png(whole=True)
    assert (view.update(first), view.canvas.png()) == (alt, png)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_says_numbers_of_the_prediction(
    name: str, predicted: tuple[pm.Prediction, pm.Prediction]
) -> None:
    view, scene = scene_of(name, predicted[0])
    alt = view.update(scene)
    result = scene.prediction[Policy.LAST_VMA]
    gain = time_text(float(result.net_gain[0]))
    expected = {
        "timeline": time_text(float(result.hold.exclusive[0])),
        "waits": time_text(float(result.answer.wait_mean[0])),
        "account": time_text(float(result.lost_time[0])),
    }
    assert expected.get(name, gain) in alt


def test_the_map_is_what_predict_says(large: pm.Scenario) -> None:
    view, scene = scene_of("map", pm.predict(large, draws=1, solver="closed", guards=False))
    grid = scene.result
    for j, i in ((0, 0), (1, 2), (3, 3)):
        here = large.replace(pages=int(grid.x[i]), cpus=int(grid.y[j]))
        known = pm.predict(here, draws=1, solver="closed", guards=False)[Policy.LAST_VMA]
        assert grid.gain[j, i] == pytest.approx(float(known.net_gain[0]), rel=1e-9, nan_ok=True)
    assert len(view.rows(scene)[1]) == grid.gain.size


def test_the_waits_are_what_predict_says() -> None:
    _, scene = scene_of("waits", pm.predict(mail_case(), draws=1, solver="closed", guards=False))
    waiting = scene.result[0]
    at = 2
    here = mail_case().replace(rate=float(waiting.x[at]))
    known = pm.predict(here, draws=1, solver="closed", guards=False)
    for k, policy in enumerate((Policy.NONE, Policy.LAST_VMA)):
        answer = known[policy].answer
        assert waiting.mean[k, at] == pytest.approx(float(answer.wait_mean[0]))
        assert waiting.quantile[k, at] == pytest.approx(
            float(answer.wait_quantiles[0.99][0]), abs=0.5
        )


def test_faults_go_on_while_the_lock_is_shared(
    predicted: tuple[pm.Prediction, pm.Prediction],
) -> None:
    view, scene = scene_of("timeline", predicted[0])
    view.update(scene)
    strips = view._hold._strips.get_path().to_polygons(closed_only=False)
    rows = [r.policy for r in reversed(scene.prediction.results)]
    for row, policy in enumerate(rows):
        width = sum(float(np.ptp(s[:, 0])) for s in strips if row - 0.5 < s[0, 1] < row)
        hold = scene.prediction[policy].hold
        going = float(hold.call[0] - hold.exclusive[0])
        assert width == pytest.approx(going, rel=1e-6)


def test_limits_hold_zero_and_all_values() -> None:
    assert decades([float("nan"), 3.0]) == (0.0, 10.0)
    low, high = decades([-250.0, 4e6])
    assert low <= -250 <= 4e6 <= high
    assert decades([]) == (-10.0, 10.0)


def test_what_differs_is_listed_and_nothing_else(
    predicted: tuple[pm.Prediction, pm.Prediction],
) -> None:
    rows = differences(predicted[0].scenario, (predicted[1].scenario,))
    assert [r.what for r in rows] == [
        "pages", "remote CPUs", "fault threads", "fault think (µs)", "fault rate (1/s)"
    ]  # fmt: skip
    assert (rows[0].now, rows[0].pinned) == ("1", ("16,384",))
    assert (rows[-1].now, rows[-1].pinned) == ("50,000", ("–",))
    told = {r.what: r for r in answers(predicted, Policy.LAST_VMA)}
    for prediction, cell in zip(
        predicted, (told["verdict"].now, *told["verdict"].pinned), strict=True
    ):
        assert cell == prediction.verdict.answer


@pytest.mark.parametrize("name", VIEWS)
def test_files_carry_caption_parameters_and_provenance(
    name: str, predicted: tuple[pm.Prediction, pm.Prediction]
) -> None:
    from PIL import Image

    view, scene = scene_of(name, predicted[0])
    exploration = Exploration(scene.question.scenario, scene.question.shown)
    files = picture_files(scene, exploration, ("png", "svg"))
    assert files == picture_files(scene, exploration, ("png", "svg"))
    stem = f"explorer_{name}"
    assert set(files) == {f"{stem}.{e}" for e in ("png", "svg", "md", "csv")}
    source = json.loads(Image.open(io.BytesIO(files[f"{stem}.png"])).text["Description"])
    assert source["machine"]["sha256"] == scene.question.scenario.machine.sha256
    assert source["scenario"] == scene.question.scenario.to_dict()
    assert scene.prediction.verdict.sentence in source["caption"]
    assert travel.read(source["explorer"]) == exploration
    head, rows = view.rows(scene)
    read = list(csv.reader(io.StringIO(files[f"{stem}.csv"].decode())))
    assert read[0] == list(head)
    assert len(read) == len(rows) + 1


def test_an_unfinished_picture_is_not_saved(predicted: tuple[pm.Prediction, pm.Prediction]) -> None:
    _, scene = scene_of("timeline", predicted[0])
    waiting = Scene(scene.question, scene.prediction, stale=True)
    with pytest.raises(InputError, match="still being computed"):
        picture_files(waiting, Exploration(scene.question.scenario), ("svg",))
    with pytest.raises(InputError, match="no format"):
        picture_files(scene, Exploration(scene.question.scenario), ("bmp",))


def test_a_png_holds_every_pixel() -> None:
    from PIL import Image

    pixels = np.random.default_rng(1).integers(0, 256, (7, 5, 4), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(pixels)))), pixels)


def test_axes_that_change_leave_the_rest_of_the_picture(
    predicted: tuple[pm.Prediction, pm.Prediction],
) -> None:
    view, scene = scene_of("overview", predicted[0])
    view.update(scene)
    view.canvas.png()
    kept = view.canvas._background
    fewer = pm.predict(scene.question.scenario.replace(policies=(Policy.LAST_VMA,)), draws=1)
    view._hold.update(fewer)  # other rows: the axes of the holds alone are drawn anew
    assert view.canvas._changed == {view._hold._rows.axes}
    png = view.canvas.png()
    assert view.canvas._background is not kept
    assert png == view.canvas.png(whole=True)


def test_another_scale_of_the_bars_draws_no_axes_anew(
    predicted: tuple[pm.Prediction, pm.Prediction],
) -> None:
    view, scene = scene_of("overview", predicted[0])
    view.update(scene)
    before, kept = view.canvas.png(), view.canvas._background
    limit = view._hold._rows.axes.get_xlim()
    view._hold.update(predicted[1])
    assert view._hold._rows.axes.get_xlim() != limit
    png = view.canvas.png()
    assert view.canvas._background is kept
    assert png != before
    assert png == view.canvas.png(whole=True)


@pytest.mark.parametrize("across", ["left", "center", "right"])
@pytest.mark.parametrize("upright", ["baseline", "bottom", "center", "top"])
@pytest.mark.parametrize("plate", [None, {"pad": 1.5, "linewidth": 0, "facecolor": "yellow"}])
def test_a_written_text_lies_where_matplotlib_draws_it(
    across: str, upright: str, plate: dict[str, Any] | None
) -> None:
    figure = Figure(figsize=(3, 1), dpi=100)
    canvas = FigureCanvasAgg(figure)
    stamp = Stamp(0.5, 0.5, "1.25 ms, pay", ha=across, va=upright, fontsize=9, bbox=plate,
                  transform=figure.transFigure)  # fmt: skip
    figure.add_artist(stamp)
    canvas.draw()
    renderer = canvas.get_renderer()
    written = stamp._written(renderer)
    assert written is not None
    drawn = stamp._rendered(renderer)

    def edges(picture: Picture) -> list[int]:
        image, dx, dy = picture
        rows, columns = np.nonzero(image[..., 3] > 60)
        return [columns.min() + dx, columns.max() + dx, rows.min() + dy, rows.max() + dy]

    assert np.allclose(edges(written), edges(drawn), atol=2)
