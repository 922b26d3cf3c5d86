"""The Parquet table of a fleet: a row for each profile, with its constants, and what was answered of it.

A table can be made by anything that writes Parquet: what stands below is its schema. Columns of the
profile, which are read:

=========================  ===============  ===========================================================
column                     type             meaning
=========================  ===============  ===========================================================
``name``                   string           of the profile; letters, digits, dots, dashes, underscores
``evidence``               string           ``measured``, ``published`` (a composite) or ``emulated``
``description``            string           one sentence; may be absent
``sha256``                 string           of the profile's own file; may be absent
``shootdown`` ...          double           every constant by its name, in its declared unit, which the
                                            field's metadata repeat (``unit``); null or absent: unknown
``shootdown_log_sd`` ...   double           standard deviation of its natural logarithm; null: none
``residual_log_sd``        double           the model's own scatter, in the logarithm; may be absent
``covariance_names``       list of string   the constants of the covariance; may be absent
``covariance_log``         list of double   covariance of the logarithms, row after row
=========================  ===============  ===========================================================

``perfmodel compare -o`` writes these columns and, after them, its answers; they are ignored when the
table is read again, so that an answer can be asked another question. Their columns:

=========================  ===============  ===========================================================
``source``                 string           file, or table and row, that the profile was read from
``rank``                   int64            by net gain among the profiles of its evidence, 1 the first;
                                            null where there is no answer
``verdict``                string           on the cut with the largest net gain
``verdict_if_safe``        string           the same if nothing forbade the cut
``policy``                 string           that cut
``net_gain``               double           thread time it saves a call against no downgrade, ns
``net_gain_low``, ``high`` double           ends of its 90 % interval, ns
``p_pays``                 double           share of the draws in which it gains
``share_of_thread_time``   double           net gain over the time of all threads
``inside_stated_region``   bool             whether the stated error was checked there
``best_safe_policy``       string           of all policies the one with the largest net gain that is safe
``best_safe_gain`` ...     double           as net_gain: ``best_safe_gain_low``, ``_high``, ``best_safe_p``
``over``                   string           the parameter of the crossings; null where none was asked
``turns``                  string           always, never, turns or unknown, over its values
``crossings``              list of struct   value, low, high (null: beyond the values), pays: above, below
``why``                    string           why there is no answer
=========================  ===============  ===========================================================

The metadata ``perfmodel`` of the file hold the scenario and the version, as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.machine import CONSTANTS, Constant, Machine

__all__ = ["answer_fields", "is_table", "machines_of", "profile_fields", "profile_row", "rows_of"]

#: Rows that are read at a time.
_ROWS = 256

#: What the rows are read as, apart from the constants.
_TEXTS = ("name", "evidence", "description", "sha256")


def _arrow() -> Any:
    try:
        return import_module("pyarrow")
    except ImportError:
        raise MissingExtraError("pyarrow", "sweep") from None


def _open(path: Path) -> Any:
    pa = _arrow()
    try:
        return import_module("pyarrow.parquet").ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        said = str(error).split(". ")[0].rstrip(".")
        raise InputError(f"this is no whole Parquet file ({said})", file=path) from None


def is_table(path: Path) -> bool:
    """Whether a file begins as Parquet does."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PAR1"
    except OSError:
        return False


def rows_of(path: Path) -> int:
    """Return the number of rows of a table; 0 where it cannot be read."""
    try:
        return int(_open(path).metadata.num_rows)
    except InputError:
        return 0


def profile_fields() -> list[Any]:
    """Return the fields of a profile, for a schema."""
    pa = _arrow()
    fields = [pa.field(name, pa.string()) for name in _TEXTS]
    for name, declared in CONSTANTS.items():
        fields.append(pa.field(name, pa.float64(), metadata={"unit": declared.unit}))
        fields.append(pa.field(f"{name}_log_sd", pa.float64(), metadata={"unit": "1"}))
    fields += [
        pa.field("residual_log_sd", pa.float64()),
        pa.field("covariance_names", pa.list_(pa.string())),
        pa.field("covariance_log", pa.list_(pa.float64())),
    ]
    return fields


def answer_fields() -> list[Any]:
    """Return the fields of an answer, for a schema."""
    pa = _arrow()
    text, number = pa.string(), pa.float64()
    crossing = pa.struct({"value": number, "low": number, "high": number, "pays": text})
    kinds = {
        "source": text, "rank": pa.int64(), "verdict": text, "verdict_if_safe": text, "policy": text,
        "net_gain": number, "net_gain_low": number, "net_gain_high": number, "p_pays": number,
        "share_of_thread_time": number, "inside_stated_region": pa.bool_(),
        "best_safe_policy": text, "best_safe_gain": number, "best_safe_gain_low": number,
        "best_safe_gain_high": number, "best_safe_p": number, "over": text, "turns": text,
        "crossings": pa.list_(crossing), "why": text,
    }  # fmt: skip
    return [pa.field(name, kind) for name, kind in kinds.items()]


def profile_row(machine: Machine, sha256: str) -> dict[str, Any]:
    """Return a profile as a row: what its draws follow from, and who it is."""
    row: dict[str, Any] = {
        "name": machine.name, "evidence": machine.evidence, "description": machine.description,
        "sha256": sha256, "residual_log_sd": machine.residual_sd,
        "covariance_names": list(machine.covariance_names),
        "covariance_log": [float(v) for v in machine.covariance.reshape(-1)],
    }  # fmt: skip
    for name in CONSTANTS:
        constant = machine.constants.get(name)
        row[name] = None if constant is None else constant.value
        row[f"{name}_log_sd"] = None if constant is None else constant.log_sd
    return row


def machines_of(path: Path) -> Iterator[tuple[int, Machine | InputError, str]]:
    """Read the profiles of a table, some rows at a time.

    Parameters
    ----------
    path : Path

    Yields
    ------
    row : int
        From 0.
    machine : Machine or InputError
        The profile, or what is wrong with it, with the column.
    sha256 : str
        As the row has it; may be empty.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    InputError
        If it is no Parquet file, or has no column of a profile.
    """
    file = _open(path)
    there = set(file.schema_arrow.names)
    for name in ("name", "evidence"):
        if name not in there:
            raise InputError("the table has no such column", file=path, field=name,
                             expected="name, evidence, and constants such as shootdown")  # fmt: skip
    known = [f.name for f in profile_fields() if f.name in there]
    if not any(name in CONSTANTS for name in known):
        raise InputError("the table has no constant of a machine", file=path,
                         expected="columns such as " + ", ".join(list(CONSTANTS)[:3]))  # fmt: skip
    row = 0
    for batch in file.iter_batches(batch_size=_ROWS, columns=known):
        for given in batch.to_pylist():
            try:
                yield row, _machine(given), given.get("sha256") or ""
            except InputError as error:
                yield row, error.at(file=f"{path}, row {row}"), ""
            row += 1


def _machine(row: Mapping[str, Any]) -> Machine:
    """Return the profile of a row."""
    for name in ("name", "evidence"):
        if not isinstance(row[name], str):
            raise InputError(f"{row[name]!r} is no text", field=name)
    if row["evidence"] not in ("measured", "published", "emulated"):
        raise InputError(f"there is no evidence {row['evidence']!r}", field="evidence",
                         expected="measured, published or emulated")  # fmt: skip
    constants = {}
    for name, declared in CONSTANTS.items():
        value, spread = _number(row, name), _number(row, f"{name}_log_sd")
        if spread is not None and spread < 0:
            raise InputError(f"{spread:g} is negative", field=f"{name}_log_sd")
        if name in row:
            constants[name] = Constant(value=value, log_sd=spread, unit=declared.unit, source="table",
                                       reason="" if value is not None else "the table does not say it")  # fmt: skip
    names = tuple(row.get("covariance_names") or ())
    flat = np.array([math.nan if v is None else v for v in row.get("covariance_log") or ()], float)
    if flat.size != len(names) ** 2:
        raise InputError(
            f"{flat.size} numbers for {len(names)} constants", field="covariance_log",
            expected=f"{len(names) ** 2}, row after row",
        )  # fmt: skip
    residual = _number(row, "residual_log_sd")
    return Machine(
        name=row["name"], evidence=row["evidence"], description=row.get("description") or "",
        constants=constants, covariance_names=names,
        covariance=flat.reshape(len(names), len(names)),
        fit={} if residual is None else {"residual_log_sd": residual},
    )  # fmt: skip


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{value!r} is not a number", field=name)
    # What writes tables often writes NaN for null.
    return None if math.isnan(value) else float(value)
