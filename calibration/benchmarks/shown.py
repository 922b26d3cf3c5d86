"""The tables and the figure of the results, and nothing that is not in them.

python calibration/benchmarks/shown.py            # from results.json, latency.json: README.md's tables, speed.png
python calibration/benchmarks/shown.py --check    # exit status 1 if README.md is not what they say
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from perfmodel.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    PURPLE,
    VERMILLION,
    drawing,
    new_figure,
    paper,
)
from perfmodel.report.numbers import number_text, time_text

__all__ = ["check", "draw", "filled", "load", "table", "write"]

HERE = Path(__file__).parent
RESULTS, PAGE, PICTURE = HERE / "results.json", HERE / "README.md", HERE / "speed.png"

#: What explorer.py measured, beside the results of run.py.
LATENCY = "latency.json"

#: How each growth is drawn: colour, marker, name.
_LOOKS = {
    "sweep": (BLUE, "o", "sweep, points"),
    "predict": (VERMILLION, "s", "one prediction, threads"),
    "chain": (GREEN, "^", "chain, threads"),
    "simulation": (PURPLE, "D", "simulated event, threads"),
    "read": (BLACK, "v", "reading, trace lines"),
}

_NAMES = {
    "prediction": "full prediction", "equal error": "closed form", "simulation": "simulation",
    "queue": "closed queue", "trace": "trace", "start": "cold start",
}  # fmt: skip


def _range(told: dict[str, float], digits: int = 2) -> str:
    texts = [_count(told[k], digits) for k in ("median", "low", "high")]
    return f"{texts[0]} ({texts[1]} to {texts[2]})"


def _count(value: float, digits: int = 3) -> str:
    if value >= 1e6:
        return f"{number_text(value / 1e6, digits)} M"
    if value >= 1e4:
        return f"{number_text(value / 1e3, digits)} k"
    return number_text(value, digits)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _ratios(results: dict[str, Any]) -> str:
    rows = [
        [c["what"], c["peer"], f"{_count(c['ours']['median'])} {c['unit']}",
         f"{_count(c['theirs']['median'])} {c['unit']}", _range(c["ratio"]), str(c["rounds"])]
        for c in results["comparisons"]
    ]  # fmt: skip
    head = ["what", "peer", "ours", "the peer's", "ours / the peer's (lowest to highest)", "rounds"]
    return _markdown(head, rows)


def _chain(results: dict[str, Any]) -> str:
    rows = []
    for one in results["chain"]:
        seconds, limit = one["seconds"], one["limit"]
        low, high = (time_text(1e9 * seconds[k]) for k in ("low", "high"))
        met = "met" if seconds["median"] < limit else "**missed**"
        states = one["solver"].split(", ")[-2]
        rows.append([one["what"], states, f"{time_text(1e9 * seconds['median'])} ({low} to {high})",
                     f"{time_text(1e9 * limit)}: {met}"])  # fmt: skip
    return _markdown(["what", "size", "time (lowest to highest)", "limit"], rows)


def _fitted(fit: dict[str, float]) -> str:
    return f"{fit['exponent']:.2f} ({fit['low']:.2f} to {fit['high']:.2f}), {fit['from']:,}"


def _growth(results: dict[str, Any]) -> str:
    rows = []
    for one in results.get("growth", ()):
        last, known = one["rows"][-1], "bytes" in one["rows"][-1]
        room = f"{number_text(last['bytes'] / 2**20, 3)} MiB" if known else "not measured"
        none = "less than 4 MiB" if known else "not measured"
        rows.append([_LOOKS[one["kind"]][2], f"{one['rows'][0]['size']:,} to {last['size']:,}",
                     _fitted(one["time"]), time_text(1e9 * last["seconds"]),
                     _fitted(one["memory"]) if one["memory"] else none, room])  # fmt: skip
    head = ["what, against", "sizes", "exponent of the time (95 %), fitted from", "time at the largest",
            "exponent of the memory (95 %), fitted from", "memory at the largest"]  # fmt: skip
    return _markdown(head, rows)


def _state(results: dict[str, Any]) -> str:
    state = results["state"]
    versions = ", ".join(f"{name} {v}" for name, v in state["packages"].items())
    load, after = state["load_average"][0], state["load_average_after"][0]
    lines = [
        f"- {state['cpu']}, {state['cpus']} CPUs, Linux {state['kernel']}, Python {state['python']}.",
        f"- {versions}.",
        f"- Commit {state['commit']}; {state['time']}; it took {state['seconds']:.0f} s.",
        f"- Load average {load:.2f} before and {after:.2f} after; {state['steal_ticks_during']} ticks"
        " stolen by the hypervisor meanwhile.",
    ]
    lines += [f"- Not run: {why}." for why in results["not_run"]]
    return "\n".join(lines)


def _latency(results: dict[str, Any]) -> str:
    told = results["latency"]
    rows = []
    for one in told["rows"]:
        limit = one["limit_ms"]
        met = "met" if one["painted_ms"]["p95"] <= limit else "**missed**"
        rows.append([
            f"{one['where']}, preset {one['preset']}", one["moves"], str(one["count"]),
            *(f"{one[k]['median']:.0f}, {one[k]['p95']:.0f} ms" for k in ("painted_ms", "work_ms")),
            f"{limit} ms: {met}",
        ])  # fmt: skip
    head = ["where", "moves", "number", "key to painted: median, 95 %", "without the wait for a frame",
            "limit of the 95 %"]  # fmt: skip
    state = told["state"]
    lines = [f"- {state['cpu']}, {state['cpus']} CPUs, {told['browser']}; commit {state['commit']};"
             f" {state['time']}; load average {state['load_average'][0]:.2f} before."]  # fmt: skip
    lines += [f"- After {m['visits']} visits the server holds {m['server_mb']:.0f} MB, its"
              f" {m['kernels']} kernel{'' if m['kernels'] == 1 else 's'} {m['kernels_mb']:.0f} MB."
              for m in told["memory"]]  # fmt: skip
    return _markdown(head, rows) + "\n\n" + "\n".join(lines)


_SECTIONS = {"ratios": _ratios, "chain": _chain, "growth": _growth, "state": _state,
             "latency": _latency}  # fmt: skip


def table(results: dict[str, Any]) -> str:
    """Return all tables of run.py."""
    return "\n\n".join(make(results) for name, make in _SECTIONS.items() if name != "latency")


def load(file: Path = RESULTS) -> dict[str, Any]:
    """Return the results with the latencies that lie beside them."""
    latency = json.loads(file.with_name(LATENCY).read_text())
    return dict(json.loads(file.read_text())) | {"latency": latency}


def filled(text: str, results: dict[str, Any]) -> str:
    """Return a page with its generated sections made anew."""
    for name, make in _SECTIONS.items():
        put = f"<!-- generated: {name} -->\n\n{make(results)}\n\n"
        text = re.sub(
            rf"<!-- generated: {name} -->.*?(?=<!-- end -->)", lambda _, p=put: p, text,
            flags=re.DOTALL,
        )  # fmt: skip
    return text


def check(page: Path = PAGE, file: Path = RESULTS) -> bool:
    """Tell whether the page says what the results do."""
    text = page.read_text()
    return filled(text, load(file)) == text


def _title(_: dict[str, Any]) -> str:
    return "Speed as ratios in one run, and how time grows"


@drawing(_title)
def draw(results: dict[str, Any], figure: Figure) -> None:
    """Draw the ratios with their spread, and the times against size with the fitted exponents."""
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.0, 1.15]})
    some = list(reversed(results["comparisons"]))
    for y, one in enumerate(some):
        ratio = one["ratio"]
        left.plot([ratio["low"], ratio["high"]], [y, y], color=BLUE, lw=2, solid_capstyle="butt")
        left.plot(ratio["median"], y, "o", color=BLUE, ms=4)
    left.axvline(1.0, color=BLACK, lw=0.8)
    left.set(xscale="log", xlabel="ours / the peer's rate", ylim=(-0.6, len(some) - 0.4))
    left.set_yticks(range(len(some)), [_label(one) for one in some], fontsize=6)
    for one in results.get("growth", ()):
        colour, marker, name = _LOOKS[one["kind"]]
        size = [r["size"] for r in one["rows"]]
        fit = one["time"]
        half = 0.5 * (fit["high"] - fit["low"])
        right.plot(size, [r["seconds"] for r in one["rows"]], marker, color=colour, ms=3.5,
                   label=f"{name}: {fit['exponent']:.2f} ± {half:.2f}")  # fmt: skip
        upper = [n for n in size if n >= fit["from"]]
        right.plot(
            upper, [fit["constant"] * n ** fit["exponent"] for n in upper], color=colour, lw=1
        )
    right.set(xscale="log", yscale="log", xlabel="points, threads or lines", ylabel="CPU time (s)")
    low, high = right.get_ylim()
    right.set_ylim(low, high * 1e3)
    right.legend(title="fitted exponent of the time, 95 %", fontsize=6, title_fontsize=6.5,
                 loc="upper left")  # fmt: skip


def _label(one: dict[str, Any]) -> str:
    peer = one["peer"].replace("`", "").removeprefix("python -c ")
    what = _NAMES[one["section"]]
    if one["section"] == "prediction":
        what += ", usual" if "usual" in one["what"] else ", extreme"
    if one["section"] == "simulation":
        what += ", events" if "events" in one["what"] else ", acquisitions"
    if len(peer) > 30:
        peer = peer[:29].rsplit(" ", 1)[0].rstrip(",") + "…"
    return f"{what}\n/ {peer}"


def write(results: dict[str, Any]) -> None:
    """Write the page's tables and the picture."""
    PAGE.write_text(filled(PAGE.read_text(), results))
    figure = new_figure(height=5.2)
    draw(results, figure)
    with paper():
        figure.savefig(PICTURE, dpi=200, metadata={"Software": None})


def main() -> int:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        return 0 if check() else 1
    write(load())
    return 0


if __name__ == "__main__":
    sys.exit(main())
