from __future__ import annotations

import io
import itertools
import re
import subprocess
import sys
from html import unescape
from typing import Any

import pytest

pytest.importorskip("ipywidgets")
pytest.importorskip("anywidget")

import perfmodel as pm
from perfmodel import errors
from perfmodel.quantities import SCENARIO
from perfmodel.scenario import Policy
from perfmodel.verdict import time_text
from perfmodel.widgets import explorer as module
from perfmodel.widgets.controls import GROUPS, Controls, grid, label, slider
from perfmodel.widgets.explorer import Explorer
from perfmodel.widgets.state import Change, ExplorerState, mail_case
from perfmodel.widgets.tables import policy_table
from perfmodel.widgets.views import breakmap, curve


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few draws and points, and no question asked twice: what is tested is who redraws when."""
    monkeypatch.setattr(module, "DRAWS", 20)
    monkeypatch.setattr(curve, "DRAWS", 1)
    monkeypatch.setattr(curve, "POINTS", 2)
    monkeypatch.setattr(breakmap, "POINTS", 3)
    monkeypatch.setattr(module, "predict", _predict)
    monkeypatch.setattr(curve, "break_even", _break_even)


_ANSWERS: dict[Any, Any] = {}


def _predict(
    scenario: pm.Scenario, *, draws: int, solver: str = "auto", guards: bool = True,
    levels: tuple[float, ...] = (0.5, 0.9, 0.99),
) -> Any:  # fmt: skip
    key = scenario.to_json(), draws, solver, guards, levels
    if key not in _ANSWERS:
        _ANSWERS[key] = pm.predict(
            scenario, draws=draws, solver=solver, guards=guards, levels=levels
        )
    return _ANSWERS[key]


def _break_even(scenario: pm.Scenario, over: str, **options: Any) -> Any:
    key = scenario.to_json(), over, options["policy"], options["points"], options["draws"]
    if key not in _ANSWERS:
        _ANSWERS[key] = pm.break_even(scenario, over, **options)
    return _ANSWERS[key]


@pytest.fixture
def ex(cheap: None) -> Explorer:
    return Explorer(ExplorerState(mail_case()))


def words(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


# ---------------------------------------------------------------------------------- controls


@pytest.mark.parametrize("name", sorted(SCENARIO))
def test_a_slider_says_what_its_declaration_says(name: str) -> None:
    q = SCENARIO[name]
    widget = slider(q, q.typical[0])
    stops = [value for _, value in widget.options]
    assert (stops[0], stops[-1]) == (pytest.approx(q.typical[0]), pytest.approx(q.typical[1]))
    assert stops == sorted(set(stops))
    assert all(isinstance(s, int) for s in stops) == q.integer
    assert len(stops) <= 256
    assert widget.description == label(q)
    assert q.meaning in widget.tooltip
    assert q.source in widget.tooltip
    if q.unit == "us":
        assert "(µs)" in label(q)


def test_logarithmic_sliders_have_even_ratios() -> None:
    for q in SCENARIO.values():
        if q.spans_decades:
            stops = grid(q)
            ratios = [b / a for a, b in itertools.pairwise(stops)]
            assert max(ratios) <= 2.0


def test_every_declared_parameter_has_its_slider_once() -> None:
    placed = [name for names in GROUPS.values() for name in names]
    assert sorted(placed) == sorted(SCENARIO)


def test_labels_are_unique_so_that_accessible_names_are() -> None:
    names = [label(q) for q in SCENARIO.values()]
    assert len(set(names)) == len(names)


def test_a_value_between_the_stops_becomes_one() -> None:
    widget = slider(SCENARIO["cpus"], 50)
    assert widget.value == 50
    assert slider(SCENARIO["fault_rate"], 1e8).value == 1e8


def test_controls_follow_the_state_without_an_echo() -> None:
    state = ExplorerState(mail_case())
    controls = Controls(state, lambda _: None)
    heard: list[Change] = []
    state.listen(heard.append)
    state.set("pages", 777)
    state.set("kernel", "6.12")
    state.set("faults_open", False)
    state.set("operation", "munmap")
    assert controls["pages"].value == 777
    assert controls["kernel"].value == "6.12"
    assert controls["operation"].value == "munmap"
    assert controls["fault_rate"].layout.display == "none"
    assert controls["fault_threads"].layout.display is None
    assert len(heard) == 4


def test_a_mechanism_is_switched_on_and_off() -> None:
    state = ExplorerState(mail_case().replace(remote_cpus=None))
    controls = Controls(state, lambda _: None)
    assert controls["io_share"].layout.display == "none"
    controls["io_share_set"].value = True
    assert state.value("io_share") > 0
    assert controls["io_us"].layout.display is None
    controls["io_share_set"].value = False
    assert state.value("io_share") == 0
    controls["remote_cpus_set"].value = True
    assert state.value("remote_cpus") is not None
    controls["remote_cpus_set"].value = False
    assert state.value("remote_cpus") is None


# ---------------------------------------------------------------------------------- explorer


def _another(widget: Any) -> Any:
    values = [v[1] if isinstance(v, tuple) else v for v in getattr(widget, "options", ())]
    return next(v for v in values if v != widget.value) if values else not widget.value


def test_each_visible_control_redraws_exactly_once(
    ex: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(ex, "settle", lambda: drawn.append(1))
    ex.state.set("pages", 4096)
    for name in list(ex.controls):
        widget = ex.controls[name]
        if widget.layout.display == "none" or (name == "machine" and len(widget.options) == 1):
            continue
        before = len(drawn)
        widget.value = _another(widget)
        assert len(drawn) == before + 1, name
        assert ex.alert.value == "", name
        ex.state.undo()
    ex.menus.over.value = "fault_rate"
    before = len(drawn)
    ex.menus.policy.value = Policy.EVERY_VMA
    assert len(drawn) == before + 1


def test_a_slider_changes_picture_texts_and_back(ex: Explorer) -> None:
    before = ex.view.png, ex.view.alt, ex.verdict.value, ex.table.value
    rev = ex.view.rev
    ex.controls["pages"].value = 1024
    assert ex.view.rev == rev + 1
    after = ex.view.png, ex.view.alt, ex.verdict.value, ex.table.value
    assert all(a != b for a, b in zip(before, after, strict=True))
    ex.controls["pages"].value = 1
    assert (ex.view.png, ex.view.alt, ex.verdict.value, ex.table.value) == before


def test_the_guards_are_told_with_what_they_cost(ex: Explorer) -> None:
    for result in ex.prediction.guarded:
        assert f"{result.policy.value} + {result.guard}" in ex.guards.value
    assert "<strong>unsafe</strong>" in ex.guards.value  # a generation does not do
    # Gains that nobody may have stand in brackets, everywhere.
    for result in ex.prediction.results:
        if not result.safety.safe:
            assert f"({time_text(float(result.net_gain[0]))})" in ex.table.value
    ex.state.set("operation", "munmap")
    assert ex.guards.value == ""


def test_what_is_shown_is_what_predict_says(ex: Explorer) -> None:
    ex.state.set("kernel", "6.4")
    expected = pm.predict(ex.state.scenario, draws=20)
    assert expected.verdict.sentence in words(ex.verdict.value)
    assert words(ex.verdict.value).startswith(expected.verdict.answer.upper())
    assert ex.table.value == policy_table(expected)


def test_the_kept_background_gives_the_whole_picture(ex: Explorer) -> None:
    for name, value in (("pages", 64), ("faults_open", False), ("operation", "munmap")):
        ex.state.set(name, value)
        assert ex._view().canvas.png() == ex._view().canvas.png(whole=True)
    ex.state.show(over="same_vma", policy="before-flush")
    assert ex._view().canvas.png() == ex._view().canvas.png(whole=True)


def test_the_picture_has_the_size_it_claims(ex: Explorer) -> None:
    from PIL import Image

    assert Image.open(io.BytesIO(ex.view.png)).width == ex.view.width
    ex.view.dpr = 2.0
    assert Image.open(io.BytesIO(ex.view.png)).width == 2 * ex.view.width


def test_a_turn_is_marked_and_told(monkeypatch: pytest.MonkeyPatch, cheap: None) -> None:
    monkeypatch.setattr(curve, "POINTS", 13)
    ex = Explorer(ExplorerState(mail_case(), over="fault_rate"))
    assert ex.scene.result.own.answer == "turns"
    assert ex.scene.result.own.sentence() in ex.view.alt
    shown = [t.get_text() for t in ex._view()._gain._turn_texts if t.get_visible()]
    assert len(shown) == 1
    assert "pays above" in shown[0]


def test_a_refused_value_ends_in_the_alert_line(ex: Explorer) -> None:
    rev = ex.view.rev
    ex.controls["vmas"].value = 2
    assert 'role="alert"' in ex.alert.value
    assert "2 VMAs cannot share 1 page(s)" in words(ex.alert.value)
    assert ex.controls["vmas"].value == 1
    assert ex.view.rev == rev
    ex.controls["pages"].value = 2
    assert ex.alert.value == ""


def test_markup_in_a_message_is_text(ex: Explorer) -> None:
    ex.exchange.form.value = "JSON"
    ex.exchange.text.value = '{"machine": "<img src=x onerror=alert(1)>"}'
    ex.exchange.load.click()
    assert "<img" not in ex.alert.value
    assert "there is no profile" in words(ex.alert.value)


def test_a_fault_of_the_program_is_told_too(
    ex: Explorer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr(module, "predict", broken)
    ex.state.set("pages", 2)
    assert "ZeroDivisionError: by design" in words(ex.alert.value)
    assert "could not follow a change" in caplog.text


def test_loading_json_moves_every_control(ex: Explorer) -> None:
    other = ExplorerState(mail_case())
    for name, value in (("pages", 300), ("faults_open", False), ("fault_threads", 9), ("cpus", 7)):
        other.set(name, value)
    ex.exchange.form.value = "JSON"
    ex.exchange.text.value = other.to_json()
    ex.exchange.load.click()
    assert ex.state.scenario.to_dict() == other.scenario.to_dict()
    assert (ex.controls["pages"].value, ex.controls["fault_threads"].value) == (300, 9)
    assert ex.exchange.text.value == other.to_json()


def test_exports_follow_the_scenario(ex: Explorer) -> None:
    assert "pages=1" in ex.exchange.text.value
    ex.controls["pages"].value = 2
    assert "pages=2" in ex.exchange.text.value
    ex.exchange.form.value = "command line"
    assert ex.exchange.text.value.startswith("perfmodel predict ")
    assert "--pages 2" in ex.exchange.text.value


def test_undo_and_reset_buttons(ex: Explorer) -> None:
    assert ex.controls.undo.disabled
    ex.controls["cpus"].value = 8
    ex.controls["transition"].value = "R->RW"
    ex.controls.undo.click()
    assert ex.controls["transition"].value == "RW->R"
    assert ex.controls["cpus"].value == 8
    ex.controls.reset.click()
    assert ex.controls["cpus"].value == 48


def test_the_curve_is_kept_while_only_its_own_parameter_moves(
    ex: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    compute = ex._compute
    monkeypatch.setattr(ex, "_compute", lambda *a: asked.append(a) or compute(*a))
    ex.state.set("pages", 64)
    ex.state.set("pages", 256)
    assert asked == []
    ex.state.set("fault_rate", 1e5)
    assert len(asked) == 1
    ex.state.set("fault_rate", 50_000.0)
    assert len(asked) == 1


def test_with_an_event_loop_the_estimate_comes_first_and_the_last_move_wins(
    ex: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setattr(module, "PAUSE", 0.1)
    monkeypatch.setattr(module, "WORDS", 0.0)

    async def moves() -> None:
        for rate in (1e3, 2e3, 4e3):
            rev = ex.view.rev
            ex.state.set("fault_rate", rate)
            assert ex.view.rev == rev + 1
            assert ex.pending
            for _ in range(3):  # the words follow the picture, before the pause is over
                await asyncio.sleep(0)
            assert "COMPUTING" in ex.verdict.value
            await asyncio.sleep(0.12)
        for _ in range(500):
            if not ex.pending and "ready" in ex.status.value:
                break
            await asyncio.sleep(0.01)
        assert "ready" in ex.status.value

    asyncio.run(moves())
    expected = pm.predict(ex.state.scenario, draws=20)
    assert ex.table.value == policy_table(expected)
    assert ex.scene.result.own.scenario.faults.rate == 4e3


def test_a_newer_move_stops_the_work_of_the_last(
    ex: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio
    import threading

    begun, moved, ends = threading.Event(), threading.Event(), []
    predicted = module.predict

    def slow(scenario: pm.Scenario, **asked: Any) -> pm.Prediction:
        if asked["draws"] == 1 or begun.is_set():
            return predicted(scenario, **asked)
        begun.set()
        assert moved.wait(20)
        try:
            return predicted(scenario, **asked)
        except module._SupersededError:
            ends.append(scenario)
            raise

    monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setattr(module, "predict", slow)

    async def moves() -> None:
        ex.state.set("fault_rate", 1e3)
        while not begun.is_set():
            await asyncio.sleep(0.01)
        ex.state.set("fault_rate", 2e3)
        moved.set()
        for _ in range(1000):
            if not ex.pending and "ready" in ex.status.value and ends:
                break
            await asyncio.sleep(0.01)

    asyncio.run(moves())
    assert [s.faults.rate for s in ends] == [1e3]
    assert ex.prediction.scenario.faults.rate == 2e3
    assert not ex.pending


def test_a_move_between_two_pieces_of_work_is_not_taken_for_settled(
    ex: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio
    from contextvars import copy_context

    # The view needs no work of its own, and is moved as the last piece of work before it ends.
    ex.state.show(view="policies")
    monkeypatch.setattr(module, "PAUSE", 3600.0)
    monkeypatch.setattr(module, "WORDS", 0.0)

    async def moves() -> None:
        loop, work, own = asyncio.get_running_loop(), ex._predict_pins, copy_context()

        def moved_meanwhile() -> None:
            work()
            # As a move comes: not in the context of this thread, whose work it makes void.
            loop.call_soon_threadsafe(ex.state.set, "fault_rate", 2e3, context=own)

        monkeypatch.setattr(ex, "_predict_pins", moved_meanwhile)
        ex.state.set("fault_rate", 1e3)
        ex._start(loop)
        await asyncio.gather(*ex._tasks)

    asyncio.run(moves())
    assert ex.prediction.scenario.faults.rate == 2e3
    assert ex.pending


def test_an_error_after_the_pause_is_told(ex: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    def broken(*_: Any) -> None:
        raise errors.InputError("by design")

    monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setattr(ex, "_compute", broken)

    async def move() -> None:
        ex.state.set("fault_rate", 123.0)
        for _ in range(200):
            if ex.alert.value:
                break
            await asyncio.sleep(0.01)

    asyncio.run(move())
    assert "by design" in words(ex.alert.value)


def test_a_place_without_widgets_gets_the_picture(ex: Explorer) -> None:
    bundle = ex._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["image/png"].startswith("iVBOR")


def test_policies_that_do_not_apply_are_told(ex: Explorer) -> None:
    ex.state.set("operation", "munmap")
    assert "does not apply" in words(ex.table.value)
    assert ex.alert.value == ""
    ex.state.show(policy=Policy.READ_ONLY)
    assert ex.alert.value == ""


def test_explore_takes_a_scenario_or_none(cheap: None) -> None:
    s = mail_case().replace(pages=32)
    assert pm.explore(s).state.scenario is s
    assert pm.explore().state.scenario.call.pages == 1


# ---------------------------------------------------------------------------------- imports


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


def test_importing_the_package_leaves_the_extras_alone() -> None:
    done = _python(
        "import sys, perfmodel, perfmodel.widgets;"
        "print({'ipywidgets', 'anywidget', 'matplotlib', 'IPython'} & set(sys.modules))"
    )
    assert done.stdout.strip() == "set()", done.stderr


def test_a_missing_extra_is_named() -> None:
    done = _python(
        "import sys; sys.modules['ipywidgets'] = None\n"
        "import perfmodel as pm\n"
        "try: pm.explore()\n"
        "except pm.PerfmodelError as error: print(type(error).__name__, error)"
    )
    assert done.stdout.startswith("MissingExtraError")
    assert "perfmodel[notebook]" in done.stdout


# ---------------------------------------------------------------------------------- parts


def test_a_number_is_typed_and_taken_back(ex: Explorer) -> None:
    assert ex.controls.backs["pages"].disabled
    ex.controls.numbers["pages"].value = 777
    assert ex.state.value("pages") == 777
    assert ex.controls["pages"].value == 777
    ex.controls.numbers["pages"].value = -3
    assert "out of range" in words(ex.alert.value)
    assert ex.controls.numbers["pages"].value == 777
    ex.controls.backs["pages"].click()
    assert ex.state.value("pages") == 1
    assert ex.controls.backs["pages"].disabled


def test_a_preset_is_loaded_named_and_left(ex: Explorer) -> None:
    assert ex.presets.menu.value == "mail"
    ex.presets.menu.value = "guard-pages"
    assert ex.state.value("transition") == "RW->NONE"
    assert "[assumed]" in words(ex.presets.words.value)
    ex.controls.numbers["pages"].value = 2
    assert ex.presets.menu.value == ""
    ex.controls.backs["pages"].click()
    assert ex.presets.menu.value == "guard-pages"
    ex.controls.undo.click()
    ex.controls.undo.click()
    ex.controls.undo.click()
    assert ex.presets.menu.value == "mail"


def test_only_the_visible_view_is_computed(ex: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    compute = ex._compute
    monkeypatch.setattr(ex, "_compute", lambda *a: asked.append(a[0].name) or compute(*a))
    ex.menus.view.value = "policies"
    ex.state.set("pages", 8)
    ex.state.set("fault_rate", 1e4)
    assert asked == []
    ex.menus.view.value = "map"
    assert asked == ["map"]
    assert ex.menus.across.layout.display is None
    ex.state.set("pages", 16)  # the point moves on the same map
    assert asked == ["map"]
    ex.menus.view.value = "timeline"
    assert ex.menus.over.layout.display == "none"


def test_a_pin_is_compared_and_dropped(ex: Explorer) -> None:
    ex.pinboard.name.value = "one page"
    ex.pinboard.pin.click()
    ex.controls["pages"].value = 1024
    assert "one page" in words(ex.pinboard.table.value)
    assert "1,024" in words(ex.pinboard.table.value)
    assert [name for name, _ in ex.scene.result.ghosts] == ["one page"]
    ex.pinboard.name.value = "one page"
    ex.pinboard.pin.click()
    assert "two pinned scenarios have one name" in words(ex.alert.value)
    ex.pinboard.back.click()
    assert ex.state.value("pages") == 1
    ex.pinboard.drop.click()
    assert ex.state.pins == ()
    assert ex.pinboard.table.value == ""


def test_policies_are_chosen_and_the_view_keeps_to_them(ex: Explorer) -> None:
    ex.state.show(policy=Policy.BEFORE_FLUSH)
    ex.controls["policy_before_flush"].value = False
    assert Policy.BEFORE_FLUSH not in ex.state.scenario.policies
    assert ex.alert.value == ""
    assert ex.plotted is not Policy.BEFORE_FLUSH
    ex.state.set("policies", (Policy.NONE,))
    assert ex.alert.value == "" or "Traceback" not in ex.alert.value
    ex.state.undo()
    assert ex.alert.value == ""


def test_a_failure_of_the_view_is_shown_in_it(
    ex: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise errors.InputError("the map is torn")

    monkeypatch.setattr(ex, "_compute", broken)
    before = ex.view.png
    ex.menus.view.value = "map"
    assert "the map is torn" in words(ex.alert.value)
    assert ex.view.alt.startswith("the map is torn")
    assert 'data-state="failed"' in ex.status.value
    assert ex.view.png != before
    monkeypatch.undo()


def test_large_type_is_drawn_larger(ex: Explorer) -> None:
    before = ex.view.png
    ex.large.value = True
    assert "perfmodel-large" in ex._dom_classes
    assert ex.view.png != before
    ex.large.value = False
    assert ex.view.png == before


def test_all_forms_are_offered_and_loaded(ex: Explorer) -> None:
    for form in ex.exchange.form.options:
        ex.exchange.form.value = form
        text = ex.exchange.text.value
        ex.state.set("cpus", 8)
        ex.exchange.text.value = text
        ex.exchange.load.click()
        assert ex.alert.value == "", form
        assert ex.state.value("cpus") == 48, form


def test_a_picture_is_handed_to_the_reader(ex: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, bytes, str]] = []
    monkeypatch.setattr(ex.exchange.courier, "save_file", lambda *a: sent.append(a))
    for button in ex.exchange.saves.values():
        button.click()
    assert ex.alert.value == ""
    assert [name for name, *_ in sent] == [
        f"explorer_overview.{e}" for e in ("svg", "pdf", "png", "csv", "md")
    ]
    assert sent[0][1].startswith(b"<?xml")
    assert sent[1][1].startswith(b"%PDF")
