"""A sweep in memory, and as a file that is whole or not there at all: NetCDF, Parquet."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.sweeping.answers import Found
from perfmodel.sweeping.dataset import (
    Account,
    attributes_of,
    coordinates_of,
    dataset_of,
)
from perfmodel.sweeping.runners import answer_blocks
from perfmodel.sweeping.variables import VARIABLES

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from perfmodel.sweeping.plan import Block, Plan

__all__ = [
    "FORMATS",
    "MEMORY",
    "Progress",
    "check_fits",
    "compute",
    "shaped",
    "write_netcdf",
    "write_parquet",
]

#: Suffix of a file, and what is written.
FORMATS = {".nc": "NetCDF", ".zarr": "Zarr", ".parquet": "Parquet"}

#: Bytes of results that may be in memory at once.
MEMORY = 1 << 30

Progress = Callable[[float], None]


def shaped(plan: Plan, block: Block, found: Found) -> dict[str, NDArray[Any]]:
    """Return the variables of a block as rectangles of the grid."""
    return {
        name: np.asarray(found.values[name], dtype=plan.dtype(VARIABLES[name])).reshape(
            (*block.shape, *(n for _, n in plan.extra(VARIABLES[name])))
        )
        for name in plan.variables
    }


def check_fits(plan: Plan, expected: str) -> None:
    """Refuse a result that does not fit into memory.

    Raises
    ------
    InputError
        With what would be right.
    """
    size = plan.size * plan.bytes_per_point
    if size > MEMORY:
        raise InputError(
            f"{plan.size:,} points take {size / 2**30:.3g} GiB, more than the"
            f" {MEMORY / 2**30:g} GiB that are kept in memory", field="points", expected=expected,
        )  # fmt: skip


def compute(
    plan: Plan, *, workers: int | None = None, cluster: str | None = None,
    loop: bool | None = None, progress: Progress = lambda _: None,
) -> xr.Dataset:  # fmt: skip
    """Compute a sweep in memory.

    Parameters
    ----------
    plan : Plan
    workers, cluster, loop
        As :func:`perfmodel.sweeping.runners.answer_blocks`.
    progress : callable

    Raises
    ------
    InputError
        If it does not fit.
    """
    check_fits(
        plan, "a .zarr store as path (-o), fewer points, fewer variables, or single precision"
    )
    values, account = gathered(plan, workers=workers, cluster=cluster, loop=loop, progress=progress)
    return dataset_of(plan, values, account)


def gathered(
    plan: Plan, *, workers: int | None = None, cluster: str | None = None,
    loop: bool | None = None, progress: Progress = lambda _: None,
) -> tuple[dict[str, NDArray[Any]], Account]:  # fmt: skip
    """Return every variable in its full shape, and what was said of the points: see `compute`."""
    account = Account()
    values = {
        name: np.empty(
            (*plan.shape, *(n for _, n in plan.extra(VARIABLES[name]))),
            plan.dtype(VARIABLES[name]),
        )
        for name in plan.variables
    }
    for block, found in answer_blocks(
        plan, range(plan.blocks), workers=workers, cluster=cluster, loop=loop
    ):
        for name, part in shaped(plan, block, found).items():
            values[name][block.slices] = part
        account.add(found)
        progress((block.index + 1) / plan.blocks)
    return values, account


@contextmanager
def _in_its_place(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; the file takes its place when all went well."""
    part = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", file=path) from None
    finally:
        part.unlink(missing_ok=True)


def write_netcdf(plan: Plan, path: Path, **how: Any) -> None:
    """Write a sweep as NetCDF 3 by scipy, which is there anyway.

    Raises
    ------
    InputError
        If it does not fit into memory or cannot be written.
    """
    check_fits(plan, "a .zarr store, which is written block by block")
    found = compute(plan, **how)
    with _in_its_place(path) as part:
        found.to_netcdf(part, engine="scipy", format="NETCDF3_64BIT")


def write_parquet(
    plan: Plan, path: Path, *, workers: int | None = None, cluster: str | None = None,
    progress: Progress = lambda _: None,
) -> None:  # fmt: skip
    """Write a sweep as a table: a row for each point and policy, a row group for each block.

    Further dimensions become columns (``net_gain_low``, ``wait_quantile_0.99``); what a point has
    once is repeated for its policies. What an attribute of the Dataset says stands in the metadata.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    InputError
        If it cannot be written.
    """
    try:
        pa: Any = import_module("pyarrow")
        pq: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise MissingExtraError("pyarrow", "sweep") from None
    account, writer = Account(), None
    with _in_its_place(path) as part:
        try:
            for block, found in answer_blocks(
                plan, range(plan.blocks), workers=workers, cluster=cluster
            ):
                table = pa.table(_columns(plan, block, found))
                writer = writer or pq.ParquetWriter(part, table.schema, compression="zstd")
                writer.write_table(table)
                account.add(found)
                progress((block.index + 1) / plan.blocks)
            assert writer is not None
            said = {k: str(v) for k, v in attributes_of(plan, account).items()}
            writer.add_key_value_metadata({"perfmodel": json.dumps(said)})
        finally:
            if writer is not None:
                writer.close()


def _columns(plan: Plan, block: Block, found: Found) -> dict[str, Any]:
    """Return one block as the columns of a table."""
    policies = len(plan.policies)
    columns: dict[str, Any] = {}
    for axis in plan.axes:
        declared = axis.declared
        values = axis.values[plan.codes(block)[axis.name]]
        if declared is not None and declared.integer:
            values = values.astype(np.int64)
        columns[axis.name] = np.repeat(values, policies)
    names = np.array([p.value for p in plan.policies], dtype=str)
    columns["policy"] = np.tile(names, block.size)
    for name in plan.variables:
        variable = VARIABLES[name]
        array = np.asarray(found.values[name], dtype=plan.dtype(variable))
        once = not variable.policy
        array = np.repeat(array, policies, axis=0) if once else array.reshape(-1, *array.shape[2:])
        further = [d for d, _ in plan.extra(variable) if d != "policy"]
        if not further:
            columns[name] = array
            continue
        labels = [map(str, np.asarray(coordinates_of(plan)[d][1])) for d in further]
        flat = array.reshape(len(array), -1)
        for i, label in enumerate(product(*labels)):
            columns["_".join([name, *label])] = flat[:, i]
    return columns
