"""A sweep that is computed when it is looked at: arrays of dask, a chunk for each block."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.errors import MissingExtraError
from perfmodel.sweeping.dataset import COUNTED, Account, dataset_of
from perfmodel.sweeping.files import shaped
from perfmodel.sweeping.runners import compute_block
from perfmodel.sweeping.variables import VARIABLES

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from perfmodel.sweeping.plan import Plan

__all__ = ["lazy_dataset"]


def _block_values(document: str, index: int) -> dict[str, NDArray[Any]]:
    """Answer one block and return its variables as rectangles of the grid."""
    from perfmodel.sweeping.plan import plan_of

    plan = plan_of(document)
    return shaped(plan, plan.block(index), compute_block(document, index))


def lazy_dataset(plan: Plan) -> xr.Dataset:
    """Return a sweep whose variables are arrays of dask.

    All variables of a block come from one task, so that asking for several of them costs once.

    Raises
    ------
    MissingExtraError
        If dask is not installed.
    """
    try:
        da: Any = import_module("dask.array")
        delayed: Any = import_module("dask.delayed").delayed
    except ImportError:
        raise MissingExtraError("dask", "sweep") from None
    document = plan.document()
    ask = delayed(_block_values, pure=True)
    asked = [ask(document, i) for i in range(plan.blocks)]
    values = {}
    for name in plan.variables:
        variable = VARIABLES[name]
        extra = tuple(n for _, n in plan.extra(variable))
        parts = np.empty(plan.blocks_along, dtype=object)
        for block in plan:
            place = np.unravel_index(block.index, plan.blocks_along)
            parts[place] = da.from_delayed(
                asked[block.index][name], (*block.shape, *extra), plan.dtype(variable)
            )
        # Blocks are joined along the dimensions of the points; the further ones are whole.
        values[name] = da.block(_nested(parts, len(extra)))
    found = dataset_of(plan, values, Account())
    # Nobody has looked at a point yet: what would be counted is not known.
    for name in COUNTED:
        del found.attrs[name]
    return found


def _nested(parts: NDArray[Any], extra: int) -> Any:
    """Return blocks as nested lists, one level a dimension, those of the further ones with one item."""
    if parts.ndim > 1:
        return [_nested(part, extra) for part in parts]
    found = list(parts)
    for _ in range(extra):
        found = [[one] for one in found]
    return found
