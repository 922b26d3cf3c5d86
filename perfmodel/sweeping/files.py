"""Files of a sweep: NetCDF and Parquet whole or not there at all, Zarr chunk by chunk and resumable.

A Zarr store grows in a folder beside its place, ``NAME.zarr.unfinished``: one chunk of every variable
for each block, written under another name and renamed, then one line in a journal. Who is killed goes
on after the last line; the store gets its name when nothing is missing.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
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
    dims_of,
    meta_of,
)
from perfmodel.sweeping.runners import answer_blocks
from perfmodel.sweeping.variables import VARIABLES

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from perfmodel.sweeping.plan import Block, Plan

__all__ = ["FORMATS", "MEMORY", "compute", "write_netcdf", "write_parquet", "write_zarr"]

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
    plan: Plan, *, workers: int = 1, cluster: str | None = None, progress: Progress = lambda _: None
) -> xr.Dataset:
    """Compute a sweep in memory.

    Raises
    ------
    InputError
        If it does not fit.
    """
    check_fits(
        plan, "a .zarr store as path (-o), fewer points, fewer variables, or single precision"
    )
    account = Account()
    values = {
        name: np.empty(
            (*plan.shape, *(n for _, n in plan.extra(VARIABLES[name]))),
            plan.dtype(VARIABLES[name]),
        )
        for name in plan.variables
    }
    for block, found in answer_blocks(plan, range(plan.blocks), workers=workers, cluster=cluster):
        for name, part in shaped(plan, block, found).items():
            values[name][block.slices] = part
        account.add(found)
        progress((block.index + 1) / plan.blocks)
    return dataset_of(plan, values, account)


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
    plan: Plan, path: Path, *, workers: int = 1, cluster: str | None = None,
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
        labels = np.asarray(coordinates_of(plan)[further[0]][1])
        for i, label in enumerate(labels):
            columns[f"{name}_{label}"] = array[:, i]
    return columns


# ------------------------------------------------------------------------------------------ Zarr


def write_zarr(
    plan: Plan, path: Path, *, workers: int = 1, cluster: str | None = None,
    progress: Progress = lambda _: None, told: Callable[[str], None] = lambda _: None,
) -> int:  # fmt: skip
    """Write a sweep as a Zarr store, block by block; go on where an earlier run was stopped.

    Parameters
    ----------
    plan : Plan
    path : Path
        Its folder must exist; what is there already is replaced when the new store is whole.
    workers, cluster
        As :func:`perfmodel.sweeping.runners.answer_blocks`.
    progress, told : callable
        Get the share done, and a remark on what an earlier run has left.

    Returns
    -------
    int
        Blocks that were computed now.

    Raises
    ------
    MissingExtraError
        If zarr is not installed.
    InputError
        If another sweep is unfinished there or under way, or it cannot be written.
    """
    try:
        import zarr
    except ImportError:
        raise MissingExtraError("zarr", "sweep") from None
    room = path.with_name(path.name + ".unfinished")
    try:
        room.mkdir(exist_ok=True)
        with _alone(room, path):
            done = _begun(plan, room, path, zarr)
            account = Account()
            for line in done.values():
                account.add_line(line)
            if done:
                told(f"{len(done)} of {plan.blocks} blocks are there already")
            missing = [i for i in range(plan.blocks) if i not in done]
            arrays: Any = zarr.open_group(room / "data", mode="r+")
            with (room / "journal").open("a", encoding="utf-8") as journal:
                for n, (block, found) in enumerate(
                    answer_blocks(plan, missing, workers=workers, cluster=cluster)
                ):
                    for name, part in shaped(plan, block, found).items():
                        arrays[name][block.slices] = part
                    line = {"block": block.index, **Account.line(found)}
                    journal.write(json.dumps(line) + "\n")
                    journal.flush()
                    account.add(found)
                    progress((len(done) + n + 1) / plan.blocks)
            arrays.attrs.update(attributes_of(plan, account))
            _finish(room, path)
            return len(missing)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", file=path) from None


@contextmanager
def _alone(room: Path, path: Path) -> Iterator[None]:
    """Keep other runs away; a killed one leaves no lock behind."""
    with (room / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError("another run is writing it", file=path,
                             expected="to wait, or another name") from None  # fmt: skip
        yield


def _begun(plan: Plan, room: Path, path: Path, zarr: Any) -> dict[int, Any]:
    """Return what an earlier run has finished, by block; begin the store where there is nothing."""
    told = room / "sweep.json"
    if told.exists():
        if told.read_text(encoding="utf-8") != plan.document():
            raise InputError(
                f"{room.name} is what another sweep has left unfinished", file=path,
                expected=f"the same question, another name, or that folder removed ({room})",
            )  # fmt: skip
        for left in room.glob("data/**/*.partial"):
            left.unlink()
        return _journal(room / "journal")
    shutil.rmtree(room / "data", ignore_errors=True)
    (room / "journal").unlink(missing_ok=True)
    _empty_store(plan, room / "data", zarr)
    part = room / "sweep.json.part"
    part.write_text(plan.document(), encoding="utf-8")
    part.replace(told)
    return {}


def _journal(path: Path) -> dict[int, Any]:
    """Read the finished blocks; cut off a last line that a kill has left half-written."""
    done: dict[int, Any] = {}
    if not path.exists():
        return done
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) < len(raw):
        with path.open("r+b") as stream:
            stream.truncate(len(whole))
    for line in whole.splitlines():
        one = json.loads(line)
        done[one["block"]] = one
    return done


def _empty_store(plan: Plan, folder: Path, zarr: Any) -> None:
    """Lay out the variables, one chunk a block, and write the coordinates."""
    group = zarr.create_group(folder)
    for name in plan.variables:
        variable = VARIABLES[name]
        extra = tuple(n for _, n in plan.extra(variable))
        dtype = plan.dtype(variable)
        meta = {k: v.tolist() if isinstance(v, np.ndarray) else v
                for k, v in meta_of(plan, variable).items()}  # fmt: skip
        group.create_array(
            name, shape=(*plan.shape, *extra), chunks=(*plan.block_shape, *extra), dtype=dtype,
            dimension_names=dims_of(plan, variable), attributes=meta,
            fill_value=np.nan if dtype.kind == "f" else dtype.type(0),
        )  # fmt: skip
    names = []
    for name, (dims, values, meta) in coordinates_of(plan).items():
        labels = np.asarray(values)
        if labels.dtype.kind == "U":
            labels = labels.astype(np.dtypes.StringDType())
        array = group.create_array(
            name, shape=labels.shape, chunks=labels.shape, dtype=labels.dtype,
            dimension_names=dims, attributes=dict(meta),
        )  # fmt: skip
        array[...] = labels
        if dims != (name,):
            names.append(name)
    if names:
        # As xarray marks coordinates that are no dimension.
        for name in plan.variables:
            group[name].attrs["coordinates"] = " ".join(names)


def _finish(room: Path, path: Path) -> None:
    """Give the store its name; an older one goes only now."""
    old = room / "replaced"
    if path.exists():
        path.rename(old)
    (room / "data").rename(path)
    shutil.rmtree(room)
