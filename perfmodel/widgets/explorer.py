"""The explorer: controls beside a verdict, a table and a picture, all views of one state.

A move shows the central estimate at once. Once the moves pause, the interval of that point and the
curve follow from another thread; whoever moves again makes them void. Without a running event loop
(a script, a test) everything is computed before the change returns.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import OrderedDict
from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as ipw

from perfmodel.breakeven import PARAMETERS, BreakEven, break_even
from perfmodel.errors import PerfmodelError
from perfmodel.prediction import Prediction, predict
from perfmodel.scenario import Policy
from perfmodel.verdict import CUTS, time_text
from perfmodel.widgets.controls import Controls
from perfmodel.widgets.figureview import FigureView, SliderNames
from perfmodel.widgets.picture import WIDTH, Picture
from perfmodel.widgets.state import PATHS, Change, ExplorerState
from perfmodel.widgets.tables import guard_table, policy_table, verdict_html, warnings_html

__all__ = ["Explorer"]

#: Draws of the machine's constants behind the interval of the point, and of each point of a curve.
DRAWS, CURVE_DRAWS, CURVE_POINTS = 100, 40, 25

#: Pause after the last move before the interval and the curve are computed, seconds.
PAUSE = 0.15

_CURVES_KEPT = 64

#: The menu's first entry: plot the cut that the verdict is about.
_JUDGED = "the judged cut"

#: Rows closer together than Jupyter's, so that controls and picture fit one screen.
_STYLE = """<style>
.perfmodel-explorer { --jp-widgets-inline-height: 25px; --jp-widgets-margin: 1px; }
.perfmodel-explorer .widget-html-content { line-height: 1.35; }
</style>"""

_log = logging.getLogger(__name__)


class _SupersededError(Exception):
    """A newer change made the work void."""


class Explorer(ipw.VBox):  # type: ignore[misc]
    """Sliders over a scenario; see `perfmodel.explore`.

    Attributes
    ----------
    state : ExplorerState
        The scenario, what is plotted, undo and export.
    controls : Controls
        The widgets by parameter name.
    prediction : Prediction
        What is shown.
    pending : bool
        Whether what is shown is the central estimate alone.
    """

    def __init__(self, state: ExplorerState) -> None:
        self.state = state
        self.pending = False
        self.prediction: Prediction = predict(
            state.scenario, draws=1, solver="closed", guards=False
        )
        self._generation = 0
        self._guards = ""
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._curves: OrderedDict[tuple[Any, ...], BreakEven] = OrderedDict()
        self._curve: BreakEven | None = None
        self._picture = Picture()
        self._build()
        super().__init__(children=self._layout_rows())
        self.add_class("perfmodel-explorer")
        state.listen(self._changed)
        self.view.observe(self._rescaled, names="dpr")
        self.settle()

    def _build(self) -> None:
        self.alert = ipw.HTML(layout={"margin": "0"})
        self.status = ipw.HTML(layout={"margin": "0", "height": "20px"})
        self.verdict = ipw.HTML(layout={"min_height": "96px", "margin": "0 0 4px 0"})
        self.table = ipw.HTML()
        self.guards = ipw.HTML()
        self.warnings = ipw.HTML()
        self.view = FigureView(width=WIDTH)
        self.controls = Controls(self.state, self._say)
        style = {"description_width": "70px"}
        self.over = ipw.Dropdown(
            description="plot over", options=tuple(PARAMETERS), value=self.state.over,
            tooltip="the parameter on the abscissa", style=style, layout={"width": "250px"},
        )  # fmt: skip
        cuts = [p for p in self.state.scenario.policies if p is not Policy.NONE]
        self.policy = ipw.Dropdown(
            description="gain of", style=style, layout={"width": "250px"},
            options=[_JUDGED, *(p.value for p in cuts)],
            tooltip="the policy whose net gain is plotted",
        )  # fmt: skip
        for menu in (self.over, self.policy):
            menu.observe(self._plot_chosen, names="value")
        self.form = ipw.Dropdown(
            description="as", options=["Python", "command line", "JSON"], style={
                "description_width": "30px"}, layout={"width": "190px"})  # fmt: skip
        self.text = ipw.Textarea(
            layout={"width": "auto", "height": "190px"},
            tooltip="copy from here; JSON can be changed and loaded",
        )
        self.load = ipw.Button(
            description="Load this JSON", tooltip="replace the scenario by the text",
            layout={"width": "140px"},
        )  # fmt: skip
        self.form.observe(lambda _: self._export(), names="value")
        self.load.on_click(lambda _: self._load())

    def _layout_rows(self) -> list[Any]:
        take = ipw.Accordion(
            children=[ipw.VBox([ipw.HBox([self.form, self.load]), self.text])],
            titles=("Take this scenario elsewhere: Python, command line, JSON",),
            selected_index=None,
        )
        views = ipw.VBox(
            [self.alert, self.verdict, self.table, ipw.HBox([self.over, self.policy, self.status]),
             self.view, self.guards, self.warnings],
            layout={"flex": "1 1 640px", "min_width": "0", "max_width": "820px"},
        )  # fmt: skip
        both = ipw.HBox([self.controls.box, views], layout={"flex_flow": "row wrap"})
        return [ipw.HTML(_STYLE), both, take, SliderNames()]

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
        self._guard(lambda: self._quick(change))
        self._timer = loop.call_later(PAUSE, self._start, loop)

    def _quick(self, change: Change) -> None:
        """Show the central estimate, and the curve if it is known."""
        if not change.plot:
            self.prediction = predict(self.state.scenario, draws=1, solver="closed", guards=False)
        known = self._curves.get(self._curve_key())
        if known is not None:
            self._curve = known
        self._render(pending=True, stale=known is None)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        task = loop.create_task(self._settle_later(self._generation))
        # The loop itself keeps no strong reference.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle_later(self, generation: int) -> None:
        scenario = self.state.scenario
        try:
            prediction = await asyncio.to_thread(predict, scenario, draws=DRAWS)
            if generation != self._generation:
                return
            self.prediction = prediction
            key = self._curve_key()
            curve = self._curves.get(key)
            if curve is None:
                self._render(pending=False, stale=True)
                curve = await asyncio.to_thread(self._find_curve, generation)
                if generation != self._generation:
                    return
            self._keep(key, curve)
            self._render(pending=False, stale=False)
        except _SupersededError:
            return
        except PerfmodelError as error:
            self._say(str(error))
        except Exception as error:
            _log.exception("the explorer could not finish")
            self._say(f"{type(error).__name__}: {error}")

    def settle(self) -> None:
        """Compute everything of the present scenario now and show it."""
        self.prediction = predict(self.state.scenario, draws=DRAWS)
        key = self._curve_key()
        curve = self._curves.get(key)
        self._keep(key, curve if curve is not None else self._find_curve(self._generation))
        self._render(pending=False, stale=False)

    def _find_curve(self, generation: int) -> BreakEven:
        def progress(_: float) -> None:
            if generation != self._generation:
                raise _SupersededError

        return break_even(
            self.state.scenario, self.state.over, policy=self.plotted, points=CURVE_POINTS,
            draws=CURVE_DRAWS, progress=progress, solver="closed",
        )  # fmt: skip

    def _keep(self, key: tuple[Any, ...], curve: BreakEven) -> None:
        self._curve = self._curves[key] = curve
        self._curves.move_to_end(key)
        while len(self._curves) > _CURVES_KEPT:
            self._curves.popitem(last=False)

    def _curve_key(self) -> tuple[Any, ...]:
        """Return what the curve depends on: everything but the swept parameter itself."""
        scenario, over = self.state.scenario, self.state.over
        data = scenario.to_dict()
        part, _, name = PATHS[over].rpartition(".")
        (data[part] if part else data)[name] = None
        return (over, self.plotted, scenario.machine, repr(data))

    @property
    def plotted(self) -> Policy:
        """The cut whose net gain is plotted."""
        if self.state.policy is not None:
            return self.state.policy
        judged = self.prediction.verdict.policy
        return Policy(judged) if judged != Policy.NONE.value else CUTS[0]

    # ------------------------------------------------------------------ what is shown

    def _render(self, *, pending: bool, stale: bool) -> None:
        self.pending = pending
        prediction, policy = self.prediction, self.plotted
        curve = self._curve
        if curve is not None and (curve.over, curve.policy) != (self.state.over, policy):
            curve = None
        point = self.state.value(self.state.over)
        if self.state.over == "remote_cpus":
            point = self.state.scenario.remote_cpus
        alt = self._picture.update(
            prediction, policy, self.state.over, curve,
            None if point is None else float(point), pending=stale,
        )  # fmt: skip
        result = prediction[policy]
        safe = "safe" if result.safety.safe else "unsafe"
        summary = f"{policy.value}: {time_text(float(result.net_gain[0]))} saved a call, {safe}."
        # One message a widget; the texts first, so that whoever waits for the picture finds them.
        self.verdict.value = verdict_html(prediction, pending=pending)
        self.table.value = policy_table(prediction, pending=pending)
        # The guards wait for the interval; until then those of the last scenario stand there, pale.
        self.guards.value = (
            f'<div style="opacity:0.4" aria-hidden="true">{self._guards}</div>' if pending
            else guard_table(prediction)
        )  # fmt: skip
        if not pending:
            self._guards = self.guards.value
        self.warnings.value = warnings_html(prediction.warnings)
        state = "computing" if pending or stale else "ready"
        self.status.value = (
            f'<span class="perfmodel-status" data-state="{state}" role="status">'
            f"{'computing…' if state == 'computing' else ''}</span>"
        )
        self._export()
        self.view.show(self._picture.png(), alt, summary)

    def _rescaled(self, _: Any) -> None:
        def draw() -> None:
            self._picture.set_scale(self.view.dpr)
            self._render(pending=self.pending, stale=self._curve is None)

        self._guard(draw)

    def _say(self, text: str) -> None:
        """Put a message into the alert line; the empty string clears it."""
        self.alert.value = (
            '<p role="alert" class="perfmodel-alert" style="margin:0 0 4px 0;padding:4px 8px;'
            f'border-left:4px solid #b00020;line-height:1.3">{escape(text)}</p>' if text else ""
        )  # fmt: skip

    def _guard(self, act: Callable[[], None]) -> None:
        """Run a handler so that no error is lost: a notebook does not show those of callbacks."""
        try:
            act()
        except PerfmodelError as error:
            self._say(str(error))
        except Exception as error:
            _log.exception("the explorer could not follow a change")
            self._say(f"{type(error).__name__}: {error}")

    def _plot_chosen(self, _: Any) -> None:
        self._guard(lambda: self.state.show(
            over=self.over.value,
            policy=None if self.policy.value == _JUDGED else self.policy.value,
        ))  # fmt: skip

    def _export(self) -> None:
        make = {"Python": self.state.to_python, "command line": self.state.to_command,
                "JSON": self.state.to_json}[self.form.value]  # fmt: skip
        self.text.value = make()
        self.load.layout.display = None if self.form.value == "JSON" else "none"

    def _load(self) -> None:
        text = self.text.value

        def act() -> None:
            self.state.load_json(text)
            self._say("")

        self._guard(act)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the widget, and its picture for places that show no widgets."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, dict):
            bundle["image/png"] = base64.b64encode(self.view.png).decode("ascii")
        return bundle
