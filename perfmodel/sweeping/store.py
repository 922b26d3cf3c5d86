"""The Zarr store of a sweep: chunk by chunk, larger than memory, resumable.

The store grows in a folder beside its place (:mod:`perfmodel.sweeping.unfinished`): one chunk of every
variable for each block, written under another name and renamed, then one line in the journal. It gets
its name when nothing is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.sweeping.dataset import Account, attributes_of, coordinates_of, dims_of, meta_of
from perfmodel.sweeping.files import Progress, shaped
from perfmodel.sweeping.runners import answer_blocks
from perfmodel.sweeping.unfinished import unfinished
from perfmodel.sweeping.variables import VARIABLES

if TYPE_CHECKING:
    from perfmodel.sweeping.plan import Plan

__all__ = ["write_zarr"]


def write_zarr(
    plan: Plan, path: Path, *, workers: int | None = None, cluster: str | None = None,
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

    def begin(room: Path) -> None:
        _empty_store(plan, room / "data", zarr)

    try:
        with unfinished(path, plan.document(), begin, "sweep") as work:
            account = Account()
            for line in work.done.values():
                account.add_line(line)
            if work.done:
                told(f"{len(work.done)} of {plan.blocks} blocks are there already")
                for left in work.room.glob("data/**/*.partial"):
                    left.unlink()
            missing = [i for i in range(plan.blocks) if str(i) not in work.done]
            group = zarr.open_group(work.room / "data", mode="r+")
            # Opened once: an array is looked up in its file each time it is asked for.
            arrays: dict[str, Any] = {name: group[name] for name in plan.variables}
            for n, (block, found) in enumerate(
                answer_blocks(plan, missing, workers=workers, cluster=cluster)
            ):
                for name, part in shaped(plan, block, found).items():
                    arrays[name][block.slices] = part
                work.finish(str(block.index), **Account.line(found))
                account.add(found)
                progress((len(work.done) + n + 1) / plan.blocks)
            group.attrs.update(attributes_of(plan, account))
            work.give(work.room / "data", path)
            return len(missing)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", file=path) from None


def _empty_store(plan: Plan, folder: Path, zarr: Any) -> None:
    """Lay out the variables, one chunk a block, and write the coordinates."""
    # Bytes of one significance together, then zstd at its quickest: a quarter of the time of Zarr's own
    # choice for numbers that vary smoothly, and no larger.
    codec = zarr.codecs.BloscCodec(cname="zstd", clevel=1, shuffle="shuffle")
    group = zarr.create_group(folder)
    for name in plan.variables:
        variable = VARIABLES[name]
        extra = tuple(n for _, n in plan.extra(variable))
        dtype = plan.dtype(variable)
        meta = {k: v.tolist() if isinstance(v, np.ndarray) else v
                for k, v in meta_of(plan, variable).items()}  # fmt: skip
        group.create_array(
            name, shape=(*plan.shape, *extra), chunks=(*plan.block_shape, *extra), dtype=dtype,
            dimension_names=dims_of(plan, variable), attributes=meta, compressors=codec,
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
