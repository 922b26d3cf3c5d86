"""Controls generated from the declarations of the parameters, bound to an explorer's state."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ipywidgets as ipw

from perfmodel.quantities import SCENARIO, Quantity
from perfmodel.report.labels import label
from perfmodel.scenario import OPERATIONS, TRANSITIONS, Policy
from perfmodel.widgets.attempt import attempt
from perfmodel.widgets.state import Change, ExplorerState

__all__ = ["GROUPS", "RELEASES", "Controls", "grid", "label", "slider"]

#: Releases on the menu: each stands for a set of rules that differs from its neighbour's.
RELEASES = ("5.10", "5.11", "5.19", "6.1", "6.4", "6.8", "6.12", "6.18")

#: Which sliders stand together; everything declared in SCENARIO is in one of them.
GROUPS: dict[str, tuple[str, ...]] = {
    "Call": ("pages", "vmas", "splits", "merges", "populated", "remote_cpus"),
    "Faults": ("fault_threads", "fault_think_us", "fault_rate", "same_vma", "first_touch",
               "io_share", "io_us", "wp_share"),
    "Writers": ("writer_threads", "writer_think_us", "writer_rate"),
    "Machine and kernel": ("cpus",),
}  # fmt: skip

#: Which policies can be compared with none, two columns of them.
_COMPARED = tuple(p for p in Policy if p is not Policy.NONE)

#: A slider whose mechanism can be absent: the name, and the value that means absent.
_OPTIONAL: dict[str, tuple[str, Any]] = {
    "remote_cpus": ("set the remote CPUs", None),
    "io_share": ("some faults wait for I/O", 0.0),
}

_LABEL = {"description_width": "138px"}
_SLIDER, _NUMBER, _RESET = ({"width": w} for w in ("272px", "88px", "28px"))


def _tooltip(declared: Quantity) -> str:
    low, high = declared.typical
    return (
        f"{declared.meaning}. Slider: {low:g} to {high:g}; allowed: {declared.expectation()}."
        f" Source: {declared.source}."
    )


def _heading(text: str) -> Any:
    return ipw.HTML(f'<h2 style="margin:2px 0 0 0;font-size:1em">{text}</h2>')


def grid(declared: Quantity) -> list[float]:
    """Return the stops of a parameter's slider over its typical range.

    Parameters
    ----------
    declared : Quantity
        Over more than a decade or two its stops are powers of two and halfway between for whole
        numbers, else ten a decade; on a linear scale they are twenty, or every whole number.
    """
    low, high = declared.typical
    if declared.spans_decades and declared.integer:
        powers = [2.0**k for k in range(math.floor(math.log2(high)) + 1)]
        stops = sorted({*powers, *(1.5 * p for p in powers[1:])})
    elif declared.spans_decades:
        first, last = round(10 * math.log10(low)), round(10 * math.log10(high))
        stops = [float(f"{10 ** (k / 10):.2g}") for k in range(first, last + 1)]
    elif high <= 1 and not declared.integer:
        stops = [k / 20 for k in range(round(20 * low), round(20 * high) + 1)]
    else:
        stops = [float(k) for k in range(math.ceil(low), math.floor(high) + 1)]
    return [declared.check(int(s) if declared.integer else s) for s in stops if low <= s <= high]


def slider(declared: Quantity, value: float) -> Any:
    """Return the slider that a declaration asks for.

    The stops are listed and not computed by the browser: a stock number slider rounds a value that
    lies between two of its steps and sends the rounded one back, as if somebody had moved it.

    Parameters
    ----------
    declared : Quantity
        What it is about.
    value : float
        Where it stands; it becomes a stop if it is none.

    Returns
    -------
    ipywidgets.SelectionSlider
    """
    widget = ipw.SelectionSlider(
        options=_options(grid(declared)), description=label(declared), tooltip=_tooltip(declared),
        style=_LABEL, layout=_SLIDER, readout=False,
    )  # fmt: skip
    if value <= 0 and declared.spans_decades:
        # Zero has no place on a logarithm: a mechanism switched on begins in the middle.
        value = widget.options[len(widget.options) // 2][1]
    _place(widget, value)
    return widget


def _options(stops: list[float]) -> tuple[tuple[str, float], ...]:
    return tuple((f"{s:,}" if isinstance(s, int) else f"{s:,.6g}", s) for s in stops)


def _place(widget: Any, value: float) -> None:
    """Move a slider to a value, which becomes one of its stops."""
    stops = [stop for _, stop in widget.options]
    if value not in stops:
        widget.options = _options(sorted([*stops, value]))
    widget.value = value


@dataclass(frozen=True)
class _Bound:
    """A widget, how the state's value is put into it, when it is visible, and what goes with it."""

    widget: Any
    put: Callable[[Any], None]
    visible: Callable[[], bool] = lambda: True
    row: Any = None


class Controls:
    """All controls of an explorer, built once.

    Parameters
    ----------
    state : ExplorerState
        What they change, and what they follow.
    failed : callable
        Told of an `InputError` message, or of the empty string when a change was accepted.
    """

    def __init__(self, state: ExplorerState, failed: Callable[[str], None]) -> None:
        self.state = state
        self._failed = failed
        self._busy = False
        self._bound: dict[str, _Bound] = {}
        #: The field and the reset button beside a slider, by parameter.
        self.numbers: dict[str, Any] = {}
        self.backs: dict[str, Any] = {}
        boxes = []
        for title, names in GROUPS.items():
            rows = [_heading(title), *self._menus(title)]
            for name in names:
                if name in _OPTIONAL:
                    rows.append(self._switch(name))
                rows.append(self._slider(name))
            boxes.append(ipw.VBox(rows, layout={"margin": "0 0 4px 0"}))
        boxes.append(self._policies())
        self.undo = ipw.Button(description="Undo", tooltip="Take the last change back")
        self.reset = ipw.Button(description="Reset", tooltip="Return to the first scenario")
        for button, act in ((self.undo, state.undo), (self.reset, state.reset)):
            button.layout.width = "100px"
            button.on_click(lambda _, act=act: self._try(act))
        self.box = ipw.VBox(
            [*boxes, ipw.HBox([self.undo, self.reset])],
            layout={"width": "410px", "flex": "0 0 auto"},
        )
        self.follow(Change(frozenset()))
        state.listen(self.follow)

    def __getitem__(self, name: str) -> Any:
        """Return the widget of a parameter."""
        return self._bound[name].widget

    def __iter__(self) -> Any:
        return iter(self._bound)

    def follow(self, change: Change) -> None:
        """Bring every control to the state's values, without a change coming back."""
        if change.plot:
            return
        before, self._busy = self._busy, True
        try:
            for bound in self._bound.values():
                shown = bound.visible()
                for part in (bound.widget, bound.row):
                    if part is not None:
                        part.layout.display = None if shown else "none"
                if shown:
                    bound.put(None)
            self.undo.disabled = not self.state.can_undo
        finally:
            self._busy = before

    def _try(self, act: Callable[[], Any]) -> None:
        if not attempt(act, self._failed):
            # The refused value must not stay on the slider: what is seen is what is computed.
            self.follow(Change(frozenset()))

    def _bind(
        self, name: str, widget: Any, put: Callable[[Any], None],
        read: Callable[[Any], Any] = lambda value: value,
        visible: Callable[[], bool] = lambda: True, target: str | None = None, row: Any = None,
    ) -> Any:  # fmt: skip
        def moved(event: dict[str, Any]) -> None:
            if not self._busy:
                self._try(lambda: self.state.set(target or name, read(event["new"])))

        widget.observe(moved, names="value")
        self._bound[name] = _Bound(widget, put, visible, row)
        return widget if row is None else row

    def _slider(self, name: str) -> Any:
        """Return a row: the slider, a field for any number, and a button back to the initial value."""
        declared = SCENARIO[name]
        widget = slider(declared, self.state.remembered(name))
        kind = ipw.IntText if declared.integer else ipw.FloatText
        field = kind(value=widget.value, tooltip=_tooltip(declared), layout=_NUMBER)
        back = ipw.Button(description="↺", layout=_RESET)
        back.on_click(lambda _: self._try(lambda: self.state.restore(name)))
        row = ipw.HBox([widget, field, back])
        row.add_class("perfmodel-row")

        def put(_: Any) -> None:
            value = self.state.value(name)
            if value is not None and widget.value != value:
                _place(widget, value)
            field.value = widget.value if value is None else value
            first = self.state.initial(name)
            back.disabled = value == first
            back.tooltip = f"back to {'what follows from the rest' if first is None else first}"

        def visible() -> bool:
            if name in _OPTIONAL:
                return bool(self.state.value(name) != _OPTIONAL[name][1])
            if name == "io_us":
                return bool(self.state.value("io_share"))
            return self.state.value(name) is not None

        self.numbers[name], self.backs[name] = field, back
        field.observe(lambda event: self._typed(name, event["new"]), names="value")
        return self._bind(name, widget, put, visible=visible, row=row)

    def _typed(self, name: str, value: float) -> None:
        if not self._busy:
            self._try(lambda: self.state.set(name, value))

    def _policies(self) -> Any:
        """Return a checkbox for each policy that can be compared with none."""
        rows = []
        for policy in _COMPARED:
            box = ipw.Checkbox(
                description=policy.value, indent=False, layout={"width": "120px"},
                tooltip="compare this policy with no downgrade",
            )  # fmt: skip

            def put(_: Any, box: Any = box, policy: Policy = policy) -> None:
                box.value = policy in self.state.value("policies")

            def read(on: bool, policy: Policy = policy) -> tuple[Policy, ...]:
                now = self.state.value("policies")
                return tuple(p for p in Policy if (on if p is policy else p in now))

            rows.append(self._bind(f"policy_{policy.name.lower()}", box, put, read,
                                   target="policies"))  # fmt: skip
        heading = _heading("Policies compared with none")
        return ipw.VBox([heading, ipw.HBox(rows, layout={"flex_flow": "row wrap"})])

    def _switch(self, name: str) -> Any:
        """Return the checkbox of a mechanism that can be absent."""
        text, absent = _OPTIONAL[name]
        declared = SCENARIO[name]
        widget = ipw.Checkbox(
            description=text, indent=False, tooltip=declared.meaning,
            layout={"margin": "0 0 0 142px", "width": "260px"},
        )  # fmt: skip

        def put(_: Any) -> None:
            widget.value = self.state.value(name) != absent

        def read(on: bool) -> Any:
            return self._bound[name].widget.value if on else absent

        return self._bind(f"{name}_set", widget, put, read, target=name)

    def _menu(self, name: str, text: str, options: Any, tooltip: str) -> Any:
        widget = ipw.Dropdown(
            description=text, options=options, tooltip=tooltip, style=_LABEL,
            value=self.state.value(name), layout={"width": "340px"},
        )  # fmt: skip

        def put(_: Any) -> None:
            value = self.state.value(name)
            if value not in widget.options:
                widget.options = (*widget.options, value)
            widget.value = value

        return self._bind(name, widget, put)

    def _population(self, name: str, text: str, closed: str, opened: str) -> Any:
        widget = ipw.ToggleButtons(
            options=[(closed, False), (opened, True)], value=self.state.value(name),
            style={"button_width": "105px"}, layout={"width": "auto"},
            tooltips=["as many threads as below, each thinks between two turns",
                      "a rate, whatever happened before"],
        )  # fmt: skip

        def put(_: Any) -> None:
            widget.value = self.state.value(name)

        caption = ipw.Label(text, layout={"width": "138px", "justify_content": "flex-end"})
        return ipw.HBox([caption, self._bind(name, widget, put)])

    def _menus(self, title: str) -> list[Any]:
        if title == "Call":
            huge = ipw.Checkbox(
                description="2 MiB (huge) entries",
                indent=False,
                layout={"margin": "0 0 0 142px", "width": "260px"},
            )

            def put(_: Any) -> None:
                huge.value = self.state.value("huge")

            transition = self._menu("transition", "transition", TRANSITIONS,
                                    "old and new protection; only mprotect has one")  # fmt: skip
            return [
                self._menu("operation", "operation", OPERATIONS, "the system call"),
                transition,
                self._bind("huge", huge, put),
            ]
        if title == "Faults":
            return [self._population("faults_open", "faults are", "threads", "open stream")]
        if title == "Writers":
            return [self._population("writers_open", "calls are", "threads", "open stream")]
        releases = tuple(dict.fromkeys((*RELEASES, self.state.value("kernel"))))
        return [
            self._menu("machine", "machine", self.state.machines, "calibrated costs"),
            self._menu("kernel", "kernel", releases, "which release's rules"),
        ]
