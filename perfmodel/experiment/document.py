"""The prediction as a file: written, and committed, before the cuts are measured."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from perfmodel.document import decode
from perfmodel.errors import InputError
from perfmodel.experiment.configuration import CUTS, Configuration
from perfmodel.experiment.predicted import Predicted
from perfmodel.experiment.quantities import QUANTITIES

if TYPE_CHECKING:
    from perfmodel.machine import Machine

__all__ = ["SCHEMA", "Prediction", "Profile", "load_prediction", "write_prediction"]

SCHEMA = "perfmodel.experiment-prediction/1"

_Text = Annotated[str, msgspec.Meta(max_length=1000)]


class Profile(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A machine that the prediction rests on.

    Parameters
    ----------
    vcpus : int
    name, sha256 : str
    wake_latency : float, ns
        Half of it separates blocked faults from others, in what is measured.
    fitted_to : dict of str to str
        Files, numbered as those of several boots have the same names, and their SHA-256.
    """

    vcpus: Annotated[int, msgspec.Meta(ge=1)]
    name: _Text
    sha256: _Text
    wake_latency: Annotated[float, msgspec.Meta(gt=0)]
    fitted_to: dict[str, str]


class _Row(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    point: Annotated[int, msgspec.Meta(ge=0)]
    cut: str
    quantity: str
    value: float | None
    low: float | None
    high: float | None
    effect: float | None
    effect_low: float | None
    effect_high: float | None
    solver: str


class _Document(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    schema: str
    evidence: Literal["emulated"]
    written: _Text
    level: float
    profiles: list[Profile]
    points: list[Configuration]
    rows: list[_Row]


class Prediction(msgspec.Struct, kw_only=True, frozen=True):
    """A prediction that was read.

    Parameters
    ----------
    file, sha256 : str
    written : str
        When, by the clock of the machine that wrote it.
    profiles : tuple of Profile
    rows : tuple of Predicted
    """

    file: str
    sha256: str
    written: str
    profiles: tuple[Profile, ...]
    rows: tuple[Predicted, ...]

    @property
    def wake_latency(self) -> dict[int, float]:
        """What waking takes by vCPUs, ns."""
        return {p.vcpus: p.wake_latency for p in self.profiles}


_NUMBERS = ("value", "low", "high", "effect", "effect_low", "effect_high")


def write_prediction(
    path: Path | str, machines: Mapping[int, Machine], rows: Sequence[Predicted],
    *, written: str | None = None,
) -> None:  # fmt: skip
    """Write a prediction; the file is whole or not there.

    Parameters
    ----------
    path : Path or str
    machines : mapping of int to Machine
        By vCPUs.
    rows : sequence of Predicted
    written : str, optional
        ISO date. Default: now.
    """
    from perfmodel.results import LEVEL

    path = Path(path)
    points = list(dict.fromkeys(r.configuration for r in rows))
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    document = {
        "schema": SCHEMA, "evidence": "emulated", "written": written or now, "level": LEVEL,
        "profiles": [
            {"vcpus": n, "name": m.name, "sha256": m.sha256, "wake_latency": m.value("wake_latency"),
             "fitted_to": {f"{place}: {i.file}": i.sha256 for place, i in enumerate(m.inputs, 1)}}
            for n, m in machines.items()
        ],
        "points": [asdict(p) for p in points],
        "rows": [
            {"point": points.index(r.configuration), "cut": r.cut, "quantity": r.quantity}
            | {n: _plain(getattr(r, n)) for n in _NUMBERS} | {"solver": r.solver}
            for r in rows
        ],
    }  # fmt: skip
    part = path.with_name(f".{path.name}.part")
    text = msgspec.json.format(msgspec.json.encode(document), indent=1)
    part.write_bytes(text + b"\n")
    part.replace(path)


def _plain(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def load_prediction(path: Path | str) -> Prediction:
    """Read and check a prediction.

    Raises
    ------
    InputError
        With the field, where the file is none of this format.
    """
    path = Path(path)
    document, raw = decode(path, _Document, SCHEMA)
    rows = []
    for place, row in enumerate(document.rows):
        for field, value, known in (
            ("cut", row.cut, CUTS), ("quantity", row.quantity, QUANTITIES),
            ("point", row.point, range(len(document.points))),
        ):  # fmt: skip
            if value not in known:
                raise InputError(f"there is no {field} {value!r}", file=path,
                                 field=f"rows[{place}].{field}",
                                 expected="one of " + ", ".join(map(str, known)))  # fmt: skip
        numbers = {n: math.nan if (v := getattr(row, n)) is None else v for n in _NUMBERS}
        rows.append(
            Predicted(document.points[row.point], row.cut, row.quantity, solver=row.solver, **numbers)
        )  # fmt: skip
    return Prediction(
        file=path.name, sha256=hashlib.sha256(raw).hexdigest(), written=document.written,
        profiles=tuple(document.profiles), rows=tuple(rows),
    )  # fmt: skip
