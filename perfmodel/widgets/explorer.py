"""The explorer: controls beside a verdict, a table and a picture, all views of one state.

A move shows the central estimate at once. Once the moves pause, the interval of that point and
whatever the visible view has to compute follow from another thread; whoever moves again makes them
void. Without a running event loop (a script, a test) everything is computed before the change returns.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets as ipw

from perfmodel.equations.equation import CHECKPOINT, checkpoint
from perfmodel.errors import PerfmodelError
from perfmodel.prediction import DRAWS, Prediction, predict
from perfmodel.scenario import Policy
from perfmodel.verdict import CUTS, time_text
from perfmodel.widgets.controls import Controls
from perfmodel.widgets.exchange import Exchange
from perfmodel.widgets.export import picture_files
from perfmodel.widgets.figureview import FigureView, SliderNames
from perfmodel.widgets.pinboard import Pinboard
from perfmodel.widgets.start import PresetMenu
from perfmodel.widgets.state import Change, ExplorerState
from perfmodel.widgets.tables import guard_table, policy_table, verdict_html, warnings_html
from perfmodel.widgets.viewmenus import ViewMenus
from perfmodel.widgets.views import KINDS, WIDTH, Canvas, Question, Scene, View

__all__ = ["Explorer"]

#: Pause after the last move before the interval and the view's own work are begun, seconds.
PAUSE = 0.2

#: From a picture to its words while moves go on, seconds: less than a pause.
WORDS = 0.06

_RESULTS_KEPT = 64

#: By which letters are larger for a projector.
_LARGE = 1.3

#: Rows closer together than Jupyter's, so that controls and picture fit one screen; larger letters
#: take the place they need.
_STYLE = """<style>
.perfmodel-explorer { --jp-widgets-inline-height: 25px; --jp-widgets-margin: 1px; }
.perfmodel-explorer .widget-html-content { line-height: 1.35; }
.perfmodel-row button { padding: 0; }
.perfmodel-pending .perfmodel-guards { opacity: 0.4; }
.perfmodel-explorer button:focus-visible, .perfmodel-explorer input:focus-visible,
.perfmodel-explorer select:focus-visible, .perfmodel-explorer .noUi-handle:focus-visible {
  outline: 3px solid #0072B2; outline-offset: 1px; }
.perfmodel-large { --jp-widgets-font-size: 17px; --jp-widgets-inline-height: 32px; }
.perfmodel-large .widget-html-content, .perfmodel-large .widget-label,
.perfmodel-large input, .perfmodel-large select, .perfmodel-large button { font-size: 17px; }
.perfmodel-large .perfmodel-controls { width: 520px !important; }
.perfmodel-large .perfmodel-row > .widget-inline-hbox:first-child { width: 360px !important; }
.perfmodel-large .perfmodel-controls .widget-label { width: 190px !important; }
.perfmodel-large .widget-toggle-button { width: auto !important; }
.perfmodel-large .widget-checkbox { width: auto !important; }
.perfmodel-large .perfmodel-views .widget-dropdown { width: 270px !important; }
.perfmodel-large .perfmodel-views .widget-dropdown .widget-label { width: 70px !important; }
</style>"""

_log = logging.getLogger(__name__)


class _SupersededError(Exception):
    """A newer change made the work void."""


class Explorer(ipw.VBox):  # type: ignore[misc]
    """Sliders over a scenario; see `perfmodel.explore`.

    Attributes
    ----------
    state : ExplorerState
        The scenario, what is shown, pins, undo and export.
    controls : Controls
        The widgets by parameter name.
    prediction : Prediction
        What is shown.
    scene : Scene
        What the visible view shows.
    view : FigureView
        The picture.
    """

    def __init__(self, state: ExplorerState) -> None:
        self.state = state
        self.prediction: Prediction = predict(
            state.scenario, draws=1, levels=(), solver="closed", guards=False
        )
        self._generation = 0
        self._timer: asyncio.TimerHandle | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._views: dict[str, View] = {}
        #: Results of the views by view and key, the last used last; and the last of each view.
        self._results: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._latest: dict[str, Any] = {}
        self._pinned: dict[str, Prediction] = {}
        self._build()
        super().__init__(children=self._layout_rows())
        self.add_class("perfmodel-explorer")
        state.listen(self._changed)
        self.view.observe(lambda _: self._guard(self._rescale), names="dpr")
        self.settle()

    @property
    def pending(self) -> bool:
        """Whether what is shown is the central estimate alone."""
        return self.scene.pending

    def _build(self) -> None:
        self.alert = ipw.HTML(layout={"margin": "0"})
        self.status = ipw.HTML(layout={"margin": "0", "height": "20px"})
        self.verdict = ipw.HTML(layout={"min_height": "96px", "margin": "0 0 4px 0"})
        self.table = ipw.HTML()
        self.guards = ipw.HTML()
        self.guards.add_class("perfmodel-guards")
        self.warnings = ipw.HTML()
        self.view = FigureView(width=WIDTH)
        self.controls = Controls(self.state, self.say)
        self.presets = PresetMenu(self.state, self.say)
        self.pinboard = Pinboard(self.state, self.say)
        self.exchange = Exchange(self.state, self.say, self.files)
        self.large = ipw.Checkbox(
            description="large type",
            indent=False,
            tooltip="for a projector",
            layout={"width": "auto", "margin": "1px 12px"},
        )
        self.menus = ViewMenus(self.state, self.say, (self.large, self.status))
        self.large.observe(lambda _: self._guard(self._enlarge), names="value")

    def _layout_rows(self) -> list[Any]:
        controls = ipw.VBox(
            [self.presets.box, self.controls.box], layout={"width": "410px", "flex": "0 0 auto"}
        )
        controls.add_class("perfmodel-controls")
        views = ipw.VBox(
            [self.alert, self.verdict, self.table, self.menus.box, self.view, self.pinboard.box,
             self.guards, self.warnings],
            layout={"flex": "1 1 640px", "min_width": "0", "max_width": "820px"},
        )  # fmt: skip
        views.add_class("perfmodel-views")
        both = ipw.HBox([controls, views], layout={"flex_flow": "row wrap"})
        return [ipw.HTML(_STYLE), both, self.exchange.box, SliderNames()]

    # ------------------------------------------------------------------ what happens on a change

    def _changed(self, change: Change) -> None:
        self._generation += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._guard(self.settle)
            return
        self._guard(lambda: self._quick(change, loop))
        self._timer = loop.call_later(PAUSE, self._start, loop)

    def _quick(self, change: Change, loop: asyncio.AbstractEventLoop) -> None:
        """Show the central estimate, and the view's result if it is known."""
        if not change.plot:
            self.prediction = predict(
                self.state.scenario, draws=1, levels=(), solver="closed", guards=False
            )
        self._show(pending=not change.plot or self.pending)
        if self._telling is None:
            self._telling = loop.call_later(WORDS, lambda: self._guard(self._tell))

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        task = loop.create_task(self._settle_later(self._generation))
        # The loop itself keeps no strong reference.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle_later(self, generation: int) -> None:
        scenario = self.state.scenario
        try:
            if self.pending or self.prediction.scenario != scenario:
                self.prediction = await self._beside(generation, predict, scenario, draws=DRAWS)
            await self._beside(generation, self._predict_pins)
            view, question = self._view(), self._question()
            if self._known(view, question) is None:
                self._render(pending=False)
                result = await self._beside(generation, self._compute, view, question)
                self._keep(view, question, result)
            self._render(pending=False)
        except _SupersededError:
            return
        except Exception as error:
            if generation == self._generation:
                self._failed(error)

    def settle(self) -> None:
        """Compute everything of the present scenario and view now and show it."""
        self.prediction = predict(self.state.scenario, draws=DRAWS)
        self._predict_pins()
        view, question = self._view(), self._question()
        try:
            if self._known(view, question) is None:
                self._keep(view, question, self._compute(view, question))
        except PerfmodelError as error:
            self._failed(error)
        else:
            self._render(pending=False)

    async def _beside(
        self, generation: int, work: Callable[..., Any], *args: Any, **named: Any
    ) -> Any:
        """Work in another thread, until a newer change makes it void.

        Raises
        ------
        _SupersededError
            At the next equation that the work evaluates once it is void: it would hold up the moves.
            If it was done by then, here, before anything of it is shown.
        """

        def wanted() -> None:
            if generation != self._generation:
                raise _SupersededError

        def whole() -> Any:
            CHECKPOINT.set(wanted)  # in the thread's own copy of the context
            return work(*args, **named)

        found = await asyncio.to_thread(whole)
        wanted()
        return found

    def _compute(self, view: View, question: Question) -> Any:
        return view.compute(question, lambda _: checkpoint())

    def _predict_pins(self) -> None:
        """Predict what is pinned and not predicted yet."""
        for pin in self.state.pins:
            known = self._pinned.get(pin.name)
            if known is None or known.scenario != pin.scenario:
                self._pinned[pin.name] = predict(pin.scenario, draws=DRAWS)

    # ------------------------------------------------------------------ the visible view

    def _view(self) -> View:
        """Return the visible view; each is made when it is first looked at."""
        name = self.state.shown.view
        if name not in self._views:
            canvas = Canvas(scale=_LARGE if self.large.value else 1.0)
            canvas.set_ratio(self.view.dpr)
            self._views[name] = KINDS[name](canvas)
        return self._views[name]

    def _question(self) -> Question:
        return Question(self.state.scenario, self.state.shown, self.plotted, self.state.pins)

    @property
    def plotted(self) -> Policy:
        """The cut whose net gain is plotted."""
        chosen, compared = self.state.policy, self.state.scenario.policies
        if chosen is not None and chosen in compared:
            return chosen
        judged = Policy(self.prediction.verdict.policy)
        if judged is not Policy.NONE:
            return judged
        return next(
            (p for p in (*CUTS, *compared) if p in compared and p is not Policy.NONE), judged
        )

    def _known(self, view: View, question: Question) -> tuple[Any] | None:
        """Return the view's result for a question, in a tuple; None where it must be computed."""
        key = view.key(question)
        if key is None:
            return (None,)
        found = self._results.get((view.name, key))
        return None if found is None else (found,)

    def _keep(self, view: View, question: Question, result: Any) -> None:
        key = (view.name, view.key(question))
        self._results[key] = self._latest[view.name] = result
        self._results.move_to_end(key)
        while len(self._results) > _RESULTS_KEPT:
            self._results.popitem(last=False)

    def _scene(self, *, pending: bool) -> Scene:
        view, question = self._view(), self._question()
        known = self._known(view, question)
        result = self._latest.get(view.name) if known is None else known[0]
        return Scene(question, self.prediction, result, pending=pending, stale=known is None)

    # ------------------------------------------------------------------ what is shown

    def _render(self, *, pending: bool, trouble: str = "") -> None:
        self._show(pending=pending, trouble=trouble)
        self._tell(trouble)

    def _show(self, *, pending: bool, trouble: str = "") -> None:
        """Put up the picture."""
        scene, view = self._scene(pending=pending), self._view()
        self.scene = scene
        alt = view.update(scene)
        view.canvas.note(trouble)
        self.view.show(view.canvas.png(), f"{trouble} {alt}".strip(), self._summary(scene))

    def _tell(self, trouble: str = "") -> None:
        """Say in words what the picture shows: soon, but after it, while moves go on.

        A browser that lays out tables does not get to the picture, which takes longest on its way.
        """
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        scene, prediction, pending = self.scene, self.prediction, self.pending
        self.verdict.value = verdict_html(prediction, pending=pending)
        self.table.value = policy_table(prediction, pending=pending)
        # The guards wait for the interval; until then those of the last scenario stand there, pale.
        (self.add_class if pending else self.remove_class)("perfmodel-pending")
        if not pending:
            self.guards.value = guard_table(prediction)
            known = [self._pinned.get(p.name) for p in self.state.pins]
            self.pinboard.show(prediction, tuple(p for p in known if p), scene.question.policy)
        self.warnings.value = warnings_html(prediction.warnings)
        self.exchange.follow()
        state = "failed" if trouble else "computing" if pending or scene.stale else "ready"
        self.status.value = (
            f'<span class="perfmodel-status" data-state="{state}" role="status">'
            f"{'computing…' if state == 'computing' else ''}</span>"
        )

    def _summary(self, scene: Scene) -> str:
        policy = scene.question.policy
        if policy not in scene.prediction.scenario.policies or policy is Policy.NONE:
            return "Nothing is compared."
        result = scene.prediction[policy]
        safe = "safe" if result.safety.safe else "unsafe"
        return f"{policy.value}: {time_text(float(result.net_gain[0]))} saved a call, {safe}."

    def _rescale(self) -> None:
        for view in self._views.values():
            view.canvas.set_ratio(self.view.dpr)
        self._render(pending=self.pending)

    def _enlarge(self) -> None:
        (self.add_class if self.large.value else self.remove_class)("perfmodel-large")
        self._views.clear()
        self._render(pending=self.pending)

    def say(self, text: str) -> None:
        """Put a message into the alert line; the empty string clears it."""
        self.alert.value = (
            '<p role="alert" class="perfmodel-alert" style="margin:0 0 4px 0;padding:4px 8px;'
            f'border-left:4px solid #b00020;line-height:1.3">{escape(text)}</p>' if text else ""
        )  # fmt: skip

    def _failed(self, error: Exception) -> None:
        """Tell in the alert line and in the view that its own work failed."""
        if isinstance(error, PerfmodelError):
            text = str(error)
        else:
            _log.error("the explorer could not finish", exc_info=error)
            text = f"{type(error).__name__}: {error}"
        self.say(text)
        self._guard(lambda: self._render(pending=False, trouble=text))

    def _guard(self, act: Callable[[], None]) -> None:
        """Run a handler so that no error is lost: a notebook does not show those of callbacks."""
        try:
            act()
        except PerfmodelError as error:
            self.say(str(error))
        except Exception as error:
            _log.exception("the explorer could not follow a change")
            self.say(f"{type(error).__name__}: {error}")

    # ------------------------------------------------------------------ taking the picture along

    def files(self, formats: Sequence[str] = ("svg", "pdf", "png")) -> dict[str, bytes]:
        """Return the picture shown as files by name, with caption, data and provenance.

        Raises
        ------
        InputError
            If it is still being computed, or a format is unknown.
        """
        return picture_files(self.scene, self.state.exploration, tuple(formats))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the widget, and its picture for places that show no widgets."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, dict):
            bundle["image/png"] = base64.b64encode(self.view.png).decode("ascii")
        return bundle
