"""A machine profile in blocks: its constants, what the data cannot tell, how well it fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError
from perfmodel.report.blocks import (
    Block,
    Bullets,
    Cell,
    Column,
    Heading,
    Mark,
    Table,
    Text,
    Tone,
)
from perfmodel.report.numbers import Z90, error_text, number_text

if TYPE_CHECKING:
    from perfmodel.machine import Constant, Machine

__all__ = [
    "Difference", "constants_table", "difference_blocks", "differences", "errors_table",
    "fit_blocks", "left_out_lines", "machine_blocks", "origin", "unknown_blocks",
]  # fmt: skip


def origin(constant: Constant) -> str:
    """Return what a constant rests on: measured, published, derived, assumed or nothing."""
    if constant.value is None:
        return "unknown"
    if constant.source == "fit":
        return "measured"
    return constant.source.partition(":")[0]


def constants_table(machine: Machine) -> Table:
    """Return the constants with unit, 90 % interval, source and remark."""
    rows: list[list[Cell]] = []
    for name, constant in machine.constants.items():
        remark = constant.reason
        _, _, words = constant.source.partition(": ")
        if words:
            remark = f"{words}; {remark}" if remark else words
        tone: Tone = (
            "bad" if constant.value is None else "dim" if origin(constant) == "assumed" else "plain"
        )
        rows.append(
            [
                name, number_text(math.nan if constant.value is None else constant.value),
                constant.unit, _interval(constant), Mark(origin(constant), tone), remark,
            ]
        )  # fmt: skip
    columns = [
        Column("constant"), Column("value", True), Column("unit"), Column("90 % interval"),
        Column("source"), Column("remark", wrap=True),
    ]  # fmt: skip
    return Table(columns, rows, "Constants; the intervals are those of the fit's covariance")


def _interval(constant: Constant) -> str:
    if constant.value is None or constant.log_sd is None:
        return ""
    factor = math.exp(Z90 * constant.log_sd)
    low, high = constant.value / factor, constant.value * factor
    digits = 3 if factor < 1.1 else 2
    return f"{number_text(low, digits)} to {number_text(high, digits)}"


def unknown_blocks(machine: Machine) -> list[Block]:
    """Say plainly what the data could not tell."""
    fit = machine.fit
    lines = [f"{n}: weak: {why}." for n, why in (fit.get("weakly_identified") or {}).items()]
    for name, constant in machine.constants.items():
        if constant.value == 0 and constant.reason:
            lines.append(f"{name}: set to zero: {constant.reason}.")
        elif constant.value is None:
            lines.append(f"{name}: unknown: {constant.reason or 'the profile does not say why'}.")
        elif origin(constant) != "measured":
            lines.append(f"{name}: not in the data; {constant.source}.")
    blocks: list[Block] = [Heading("What these data cannot tell", 3)]
    blocks.append(Bullets(lines) if lines else Text("Every constant was identified."))
    pairs = fit.get("correlated") or {}
    if pairs:
        blocks.append(
            Text(
                "Correlated beyond 0.9, so that only a combination is known (predictions use the"
                " covariance): " + ", ".join(f"{names} ({value:+.2f})" for names, value in pairs.items())
                + "."
            )
        )  # fmt: skip
    return blocks


def errors_table(rows: list[Mapping[str, Any]], caption: str) -> Table:
    """Return absolute errors by operation and phase."""
    columns = [
        Column("operation"), Column("phase"), Column("points", True), Column("median", True),
        Column("90 %", True), Column("largest", True),
    ]  # fmt: skip
    cells: list[list[Cell]] = [
        [str(r["operation"]), str(r["phase"]), str(r["points"]),
         *(error_text(_number(r[k])) for k in ("median", "p90", "largest"))]
        for r in rows
    ]  # fmt: skip
    return Table(columns, cells, caption)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def left_out_lines(left_out: Mapping[str, int]) -> list[str]:
    """Return what was not used, by reason, the most frequent first."""
    return [f"{n} x {why}" for why, n in sorted(left_out.items(), key=lambda item: -item[1])]


def fit_blocks(machine: Machine, *, with_check: bool = True) -> list[Block]:
    """Say how well the fit fitted, and what the held-out check recorded with it found.

    Raises
    ------
    InputError
        If the profile's record of the fit is not what calibration writes: profiles are files that
        people edit, and their schema leaves this part open.
    """
    try:
        return _fit_blocks(machine, with_check)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the record of the fit cannot be read ({error})", file=machine.name, field="fit"
        ) from None


def _fit_blocks(machine: Machine, with_check: bool) -> list[Block]:
    fit = machine.fit
    blocks: list[Block] = [Heading("Goodness of fit", 3)]
    if "points" not in fit:
        return [*blocks, Text("The profile holds no record of a fit.")]
    blocks.append(
        Text(
            f"{fit['points']} points ({fit.get('events', 'unknown')} events),"
            f" {fit.get('free_constants', 'unknown')} free constants; robust chi2"
            f" {number_text(_number(fit.get('robust_chi2')), 4)} on"
            f" {fit.get('degrees_of_freedom', 'unknown')} degrees of freedom, after the model's own"
            f" scatter of {error_text(_number(fit.get('residual_log_sd')))} was estimated from the"
            f" residuals and added to every interval. Absolute error of a point: median"
            f" {error_text(_number(fit.get('median_absolute_error')))}, 90 % of them within"
            f" {error_text(_number(fit.get('p90_absolute_error')))}."
        )
    )
    if fit.get("tracer_ns"):
        told = ", ".join(f"{n} {number_text(v)} ns" for n, v in fit["tracer_ns"].items())
        blocks.append(Text(f"The tracer's own cost, fitted and kept out of the constants: {told}."))
    rows = fit.get("errors_by_operation") or []
    if rows:
        blocks.append(errors_table(rows, "Absolute error of the fit, predicted against measured"))
    if fit.get("left_out"):
        blocks += [Heading("Not used in the fit", 3), Bullets(left_out_lines(fit["left_out"]))]
    if with_check and fit.get("held_out"):
        blocks += _kept_check(fit["held_out"])
    return blocks


def _kept_check(kept: Mapping[str, Any]) -> list[Block]:
    word = "passed" if kept.get("passed") else "FAILED"
    sentence = (
        f"{word}: median absolute error {error_text(_number(kept.get('median_absolute_error')))} over"
        f" {kept.get('points')} points (threshold {error_text(_number(kept.get('threshold')))}),"
        f" against {', '.join(str(f.get('file')) for f in kept.get('files', []))}."
    )
    blocks: list[Block] = [
        Heading("Held-out check, as recorded with the profile", 3),
        Text(sentence, "plain" if kept.get("passed") else "bad"),
    ]
    rows = kept.get("errors_by_operation") or []
    if rows:
        blocks.append(errors_table(rows, "Absolute error on the held-out run"))
    return blocks


def machine_blocks(machine: Machine) -> list[Block]:
    """Return a whole profile: origin, state of the machine, constants, fit."""
    facts = [
        f"Evidence: {machine.evidence}; made {machine.created or 'at an unknown time'};"
        f" sha256 {machine.sha256}.",
        *(f"Input: {f.file} ({f.format}, sha256 {f.sha256[:12]})." for f in machine.inputs),
        *state_lines(machine.state),
    ]
    return [
        Heading(f"Machine {machine.name}", 2),
        *([Text(machine.description)] if machine.description else []),
        Bullets(facts),
        constants_table(machine),
        *unknown_blocks(machine),
        *fit_blocks(machine),
    ]


def state_lines(state: Mapping[str, Any]) -> list[str]:
    """Return the recorded state of the machine, one line a part; empty parts are left out."""
    lines = []
    for part, values in (state.get("machine") or {}).items():
        told = _told(values)
        if told:
            lines.append(f"{part.replace('_', ' ')}: {told}.")
    noise = _told(state.get("noise"))
    if noise:
        lines.append(f"noise: {noise}.")
    return lines


def _told(value: Any) -> str:
    """Write nested values in one line, without what is empty."""
    if isinstance(value, Mapping):
        parts = [(k, _told(v)) for k, v in value.items()]
        return ", ".join(f"{k} {t if ',' not in t else '(' + t + ')'}" for k, t in parts if t)
    if isinstance(value, (list, tuple)):
        return ", ".join(filter(None, map(_told, value)))
    if value is None or value == "":
        return ""
    return number_text(value, 4) if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Difference:
    """One constant in two profiles.

    Parameters
    ----------
    name, unit : str
    first, second : float
        NaN where a profile does not know it.
    first_origin, second_origin : str
        What each rests on.
    ratio : float
        Second over first; NaN where either is unknown or zero.
    spreads : float
        Size of the logarithm of the ratio in standard deviations of both together; NaN where no
        spread is known.
    """

    name: str
    unit: str
    first: float
    second: float
    first_origin: str
    second_origin: str
    ratio: float
    spreads: float

    @property
    def differs(self) -> bool:
        """Whether the constants differ by more than their joint 90 % spread."""
        return self.spreads > Z90

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; what is unknown is None."""
        return {
            k: None if isinstance(v, float) and not math.isfinite(v) else v
            for k, v in (asdict(self) | {"differs": self.differs}).items()
        }


def differences(one: Machine, two: Machine) -> list[Difference]:
    """Return every constant of two profiles, in the order of the declarations."""
    from perfmodel.machine import CONSTANTS

    found = []
    for name, declared in CONSTANTS.items():
        a, b = one.value(name), two.value(name)
        ratio = b / a if a > 0 and b > 0 else math.nan
        spread = math.hypot(_log_sd(one, name), _log_sd(two, name))
        found.append(
            Difference(
                name, declared.unit, a, b, _origin(one, name), _origin(two, name), ratio,
                abs(math.log(ratio)) / spread if spread > 0 and ratio > 0 else math.nan,
            )
        )  # fmt: skip
    return found


def _origin(machine: Machine, name: str) -> str:
    constant = machine.constants.get(name)
    return "unknown" if constant is None else origin(constant)


def _log_sd(machine: Machine, name: str) -> float:
    """Return the spread of a constant as it is drawn: its own, and the model's scatter if fitted."""
    constant = machine.constants.get(name)
    own = 0.0 if constant is None else constant.log_sd or 0.0
    return math.hypot(own, machine.residual_sd if name in machine.covariance_names else 0.0)


def difference_blocks(one: Machine, two: Machine) -> list[Block]:
    """Return two profiles side by side."""
    found = differences(one, two)
    rows: list[list[Cell]] = []
    for d in found:
        tone: Tone = "strong" if d.differs else "plain"
        rows.append(
            [Mark(d.name, tone), number_text(d.first), number_text(d.second), d.unit,
             "-" if math.isnan(d.ratio) else number_text(d.ratio, 2),
             "-" if math.isnan(d.spreads) else number_text(d.spreads, 2),
             Mark("differs" if d.differs else "", tone), d.first_origin, d.second_origin]
        )  # fmt: skip
    columns = [
        Column("constant"), Column(one.name, True), Column(two.name, True), Column("unit"),
        Column("ratio", True), Column("spreads", True), Column(""), Column("first rests on"),
        Column("second rests on"),
    ]  # fmt: skip
    count = sum(d.differs for d in found)
    return [
        Heading(f"{one.name} ({one.evidence}) beside {two.name} ({two.evidence})", 2),
        Table(columns, rows, "Ratio: second over first; spreads: its logarithm in standard deviations"
              " of both together"),
        Text(f"{count} of {len(found)} constants differ by more than {Z90:g} of their joint spread: a"
             " verdict that is another one for the second machine hangs on these."),
    ]  # fmt: skip
