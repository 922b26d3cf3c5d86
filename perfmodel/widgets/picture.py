"""The explorer's picture: hold phases by policy, and net gain over one parameter.

Artists are made once and updated in place. What stays from one move to the next (axes, ticks,
labels) is kept as a background; only the artists that follow the data are drawn anew.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from PIL import Image

from perfmodel.breakeven import PARAMETERS, BreakEven
from perfmodel.prediction import Prediction
from perfmodel.quantities import SCENARIO
from perfmodel.results import LEVEL
from perfmodel.scenario import Policy
from perfmodel.verdict import time_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist

__all__ = ["Picture"]

#: Okabe-Ito; hatches and line styles say the same for eyes that see no colour.
_EXCLUSIVE, _SHARED, _OUTSIDE, _CURVE = "#D55E00", "#0072B2", "#DDDDDD", "#0072B2"
_MODES = {"outside": (_OUTSIDE, ""), "exclusive": (_EXCLUSIVE, ""), "shared": (_SHARED, "///")}

#: Net gains smaller than this are drawn on a linear scale around zero, ns.
_LINEAR = 10.0

#: Most turns that are marked, and most piece names that are written into bars.
_TURNS, _NAMES = 3, 30

#: Size in CSS pixels.
WIDTH, HEIGHT, DPI = 690, 470, 100

_SHORT = {"locked": "lock", "walk_start": "walk start", "prepare": "VMA", "shootdown": "IPI"}


class Picture:
    """Two panels over a prediction and a break-even curve.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
    """

    def __init__(self) -> None:
        self.figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI)
        # Matplotlib's canvas has no annotations.
        self._canvas: Any = FigureCanvasAgg(self.figure)
        self._background: tuple[Any, Any] | None = None
        self._key: tuple[Any, ...] = ()
        # Fixed margins: a constrained layout moves a little at every draw.
        self._bars = self.figure.add_axes((0.135, 0.60, 0.83, 0.335))
        self._gain = self.figure.add_axes((0.135, 0.105, 0.83, 0.365))
        self._moving: list[Artist] = []
        self._make_bars()
        self._make_gain()
        for artist in self._moving:
            artist.set_animated(True)

    def _keep(self, artist: Any) -> Any:
        self._moving.append(artist)
        return artist

    def _make_bars(self) -> None:
        axes = self._bars
        self._pieces = {}
        for mode, (colour, hatch) in _MODES.items():
            bars = PolyCollection(
                [], facecolor=colour, edgecolor="white", linewidth=0.8, hatch=hatch
            )
            axes.add_collection(bars, autolim=False)
            self._pieces[mode] = self._keep(bars)
        # The hatch would run through the letters: a plate of the bar's colour lies below them.
        self._names = [
            self._keep(axes.text(0, 0, "", ha="center", va="center", fontsize=8, color="white",
                                 bbox={"pad": 1.0, "linewidth": 0, "facecolor": _SHARED}))
            for _ in range(_NAMES)
        ]  # fmt: skip
        self._totals = [
            self._keep(axes.text(0, 0, "", va="center", fontsize=8.5, color="#333333"))
            for _ in Policy
        ]
        axes.legend(
            handles=[Patch(facecolor=c, hatch=h, edgecolor="white", label=text)
                     for (c, h), text in zip(_MODES.values(), (
                         "outside the lock", "write lock", "read lock"), strict=True)],
            loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=3, frameon=False, fontsize=9,
            handlelength=1.6, borderaxespad=0.1,
        )  # fmt: skip
        axes.set_title("Hold of one call", loc="left", fontsize=10.5, fontweight="bold")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: time_text(x) if x else "0"))
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.tick_params(labelsize=9)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)

    def _make_gain(self) -> None:
        axes = self._gain
        axes.axhline(0, color="#555555", linewidth=0.8)
        band = PolyCollection([], facecolor=_CURVE, alpha=0.22, linewidth=0)
        axes.add_collection(band, autolim=False)
        self._band = self._keep(band)
        (line,) = axes.plot([], [], color=_CURVE, linewidth=1.8)
        self._curve = self._keep(line)
        self._turns = [self._keep(axes.axvline(1, color="#333333", linewidth=1.1, linestyle="--"))
                       for _ in range(_TURNS)]  # fmt: skip
        self._spans = [self._keep(axes.plot([], [], color="#333333", linewidth=2.5, marker="|",
                                            markersize=9)[0]) for _ in range(_TURNS)]  # fmt: skip
        self._turn_texts = [
            self._keep(axes.text(0, 0, "", fontsize=8.5, va="bottom", color="#222222",
                                 bbox={"pad": 1.5, "linewidth": 0, "facecolor": "white",
                                       "alpha": 0.85}))
            for _ in range(_TURNS)
        ]  # fmt: skip
        (point,) = axes.plot([], [], marker="o", markersize=9, color=_EXCLUSIVE,
                             markeredgecolor="white", linestyle="", zorder=5,
                             clip_on=False)  # fmt: skip
        self._point = self._keep(point)
        self._point_error = self._keep(axes.plot([], [], color=_EXCLUSIVE, linewidth=2)[0])
        self._note = self._keep(axes.text(0.995, 0.04, "", transform=axes.transAxes, ha="right",
                                          fontsize=9, style="italic", color="#333333"))  # fmt: skip
        axes.set_yscale("symlog", linthresh=_LINEAR, linscale=0.4)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _signed(y)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(labelsize=9)
        axes.grid(axis="y", color="#E5E5E5", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)

    # ------------------------------------------------------------------ updating

    def update(
        self, prediction: Prediction, policy: Policy, over: str, curve: BreakEven | None,
        point: float | None, *, pending: bool = False,
    ) -> str:  # fmt: skip
        """Put the artists where a prediction wants them.

        Parameters
        ----------
        prediction : Prediction
            Of the scenario as it is.
        policy : Policy
            The cut whose gain is plotted.
        over : str
            The parameter on the abscissa.
        curve : BreakEven, optional
            The gain over that parameter; may be that of an earlier scenario while `pending`.
        point : float, optional
            The scenario's own value of the parameter, if it has one.
        pending : bool
            Whether the curve is still being computed.

        Returns
        -------
        str
            What the picture says, for those who do not see it.
        """
        bars = self._update_bars(prediction)
        gain = self._update_gain(prediction, policy, over, curve, point, pending)
        return f"{bars} {gain}"

    def _update_bars(self, prediction: Prediction) -> str:
        polygons: dict[str, list[list[tuple[float, float]]]] = {mode: [] for mode in _MODES}
        names: list[tuple[float, float, str, str]] = []
        said = []
        results = prediction.results
        known = [float(r.hold.call[0]) for r in results if math.isfinite(r.hold.call[0])]
        limit = _nice(1.36 * max(known, default=1.0))
        for text in self._totals:
            text.set_visible(False)
        for row, result in enumerate(results):
            y, x = float(len(results) - 1 - row), 0.0
            total = self._totals[row]
            total.set_visible(True)
            if not math.isfinite(result.hold.call[0]):
                total.set_text("does not apply" if result.reason else "unknown on this machine")
                total.set_position((0.01 * limit, y))
                continue
            for phase in sorted(result.hold.phases, key=lambda p: list(_MODES).index(p.mode)):
                ns = float(phase.ns[0])
                if ns <= 0:
                    continue
                polygons[phase.mode].append(
                    [(x, y - 0.38), (x + ns, y - 0.38), (x + ns, y + 0.38), (x, y + 0.38)]
                )
                short = _SHORT.get(phase.name, phase.name)
                if ns > (0.012 * len(short) + 0.012) * limit and phase.mode != "outside":
                    names.append((x + ns / 2, y, short, _MODES[phase.mode][0]))
                x += ns
            exclusive, shared = (time_text(float(a[0])) for a in (result.hold.exclusive,
                                                                  result.hold.shared))  # fmt: skip
            words = f"{exclusive} write" + (f", {shared} read" if result.hold.shared[0] > 0 else "")
            total.set_text(words)
            total.set_position((x + 0.008 * limit, y))
            said.append(f"{result.policy.value} {words}")
        for mode, bars in self._pieces.items():
            bars.set_verts(polygons[mode])
        for text, given in zip(self._names, [*names, *[None] * _NAMES][:_NAMES], strict=True):
            text.set_visible(given is not None)
            if given is not None:
                text.set_position(given[:2])
                text.set_text(given[2])
                text.get_bbox_patch().set_facecolor(given[3])
        rows = tuple(r.policy.value for r in reversed(results))
        if self._key[:2] != (limit, rows):
            self._bars.set_xlim(0, limit)
            self._bars.set_ylim(-0.6, len(rows) - 0.4)
            self._bars.set_yticks(range(len(rows)), rows)
            self._background = None
            self._key = (limit, rows, *self._key[2:])
        return "Hold of one call under lock: " + "; ".join(said) + "."

    def _update_gain(
        self, prediction: Prediction, policy: Policy, over: str, curve: BreakEven | None,
        point: float | None, pending: bool,
    ) -> str:  # fmt: skip
        estimate, low, high = prediction[policy].interval()
        values = [estimate, low, high]
        if curve is not None:
            between = np.quantile(curve.net_gain, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
            middle, grid = curve.net_gain[:, 0], curve.grid
            values += [*middle, *between.ravel()]
            self._curve.set_data(grid, middle)
            self._band.set_verts(
                [np.column_stack([np.r_[grid, grid[::-1]], np.r_[between[0], between[1][::-1]]])]
            )
        else:
            self._curve.set_data([], [])
            self._band.set_verts([])
        self._curve.set_alpha(0.35 if pending else 1.0)
        self._band.set_alpha(0.08 if pending else 0.22)
        at = point is not None and math.isfinite(estimate)
        self._point.set_data([point] if at else [], [estimate] if at else [])
        self._point_error.set_data([point, point] if at else [], [low, high] if at else [])
        said = self._update_turns(None if pending else curve, over)
        note = "computing…" if pending else ""
        if point is None:
            note += " (the scenario itself has no " + over.replace("_", " ") + ")"
        self._note.set_text(note)
        self._scale(values, over, policy, point, curve)
        here = f"Net gain of {policy.value} here: {time_text(estimate)} a call."
        return f"{here} {said}"

    def _update_turns(self, curve: BreakEven | None, over: str) -> str:
        roots = () if curve is None else curve.roots[:_TURNS]
        for artist in (*self._turns, *self._spans, *self._turn_texts):
            artist.set_visible(False)
        log = SCENARIO[PARAMETERS[over][1]].spans_decades
        left, right = (1.0, 2.0) if curve is None else (curve.grid[0], curve.grid[-1])
        for i, root in enumerate(roots):
            middle = math.sqrt(left * right) if log else 0.5 * (left + right)
            beyond = root.value > middle
            self._turns[i].set_xdata([root.value, root.value])
            self._turns[i].set_visible(True)
            text = f" pays {root.pays} {root.value:.3g} "
            if math.isfinite(root.low):
                text += f"({root.low:.3g} to {root.high:.3g}) "
                self._spans[i].set_data([root.low, root.high], [0, 0])
                self._spans[i].set_visible(True)
            self._turn_texts[i].set_text(text)
            self._turn_texts[i].set_horizontalalignment("right" if beyond else "left")
            self._turn_texts[i].set_transform(self._gain.get_xaxis_transform())
            self._turn_texts[i].set_position((root.value, 0.83 - 0.14 * i))
            self._turn_texts[i].set_visible(True)
        return "" if curve is None else curve.sentence()

    def _scale(
        self, values: list[float], over: str, policy: Policy, point: float | None,
        curve: BreakEven | None,
    ) -> None:  # fmt: skip
        known = [0.0, *(v for v in values if math.isfinite(v))]
        top, bottom = _decade(max(*known, 0.0)), _decade(min(*known, 0.0))
        declared = SCENARIO[PARAMETERS[over][1]]
        low, high = declared.typical if curve is None else (curve.grid[0], curve.grid[-1])
        if point is not None and (point > 0 or not declared.spans_decades):
            low, high = min(low, point), max(high, point)
        if not high > low:
            low, high = low - 0.5, high + 0.5
        key = (float(low), float(high), bottom, top, over, policy)
        if self._key[2:] == key:
            return
        self._key = (*self._key[:2], *key)
        self._background = None
        axes = self._gain
        axes.set_xscale("log" if declared.spans_decades else "linear")
        axes.set_xlim(low, high)
        if declared.spans_decades:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _count(x)))
            axes.xaxis.set_minor_formatter(NullFormatter())
        if bottom == top:
            bottom, top = -_LINEAR, _LINEAR
        axes.set_ylim(bottom, top)
        axes.set_yticks(_ticks(bottom, top))
        unit = "" if declared.unit in ("1", declared.name) else f" ({declared.unit})"
        axes.set_xlabel(f"{over.replace('_', ' ')}{unit}", fontsize=10)
        axes.set_title(
            f"Net gain of {policy.value}, thread time a call (band: {100 * LEVEL:g} %)",
            loc="left", fontsize=10.5, fontweight="bold",
        )  # fmt: skip

    # ------------------------------------------------------------------ drawing

    def set_scale(self, ratio: float) -> None:
        """Draw with that many device pixels for each CSS pixel."""
        self.figure.set_dpi(DPI * min(3.0, max(1.0, ratio)))
        self._background = None

    def png(self, *, whole: bool = False) -> bytes:
        """Return the picture as PNG bytes.

        Parameters
        ----------
        whole : bool
            Draw everything anew, background and all; the bytes are the same.
        """
        canvas = self._canvas
        if whole or self._background is None:
            canvas.draw()
            self._background = canvas.copy_from_bbox(self.figure.bbox)
        canvas.restore_region(self._background)
        for artist in self._moving:
            if artist.get_visible() and artist.axes is not None:
                artist.axes.draw_artist(artist)
        image = Image.frombuffer(
            "RGBA",
            canvas.get_width_height(physical=True),
            canvas.buffer_rgba(),
            "raw",
            "RGBA",
            0,
            1,
        )
        out = io.BytesIO()
        image.convert("RGB").save(out, "png", compress_level=1)
        return out.getvalue()


def _nice(value: float) -> float:
    """Return the next of 1, 1.5, 2, 3, 4, 6, 8 times a power of ten: limits then change rarely."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(
        next((m * power for m in (1, 1.5, 2, 3, 4, 6, 8) if m * power >= value), 10 * power)
    )


def _decade(value: float) -> float:
    """Return the decade beyond a value, on its side of zero."""
    if value == 0:
        return 0.0
    edge: float = 10.0 ** math.ceil(math.log10(max(abs(value), _LINEAR)) + 1e-9)
    return math.copysign(edge, value)


def _ticks(bottom: float, top: float) -> list[float]:
    """Return zero and some decades on both sides, no more than eight in all."""
    decades = []
    for edge in (bottom, top):
        if edge:
            last = round(math.log10(abs(edge)))
            decades += [math.copysign(10.0**k, edge) for k in range(1, last + 1)]
    step = max(1, math.ceil(len(decades) / 7))
    kept = [d for d in decades if (round(math.log10(abs(d))) - 1) % step == step - 1 or step == 1]
    return sorted([0.0, *kept])


def _signed(value: float) -> str:
    return "0" if value == 0 else f"{'−' if value < 0 else ''}{time_text(abs(value))}"


def _count(value: float) -> str:
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:g}{unit}"
    return f"{value:g}"
