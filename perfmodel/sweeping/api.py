"""The verb: a scenario and sequences of values in, labelled arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError
from perfmodel.rwlock.lock import LEVELS
from perfmodel.sweeping.axes import axis_of
from perfmodel.sweeping.files import FORMATS, compute, write_netcdf, write_parquet
from perfmodel.sweeping.plan import Plan, make_plan
from perfmodel.sweeping.store import write_zarr

if TYPE_CHECKING:
    import os

    import xarray as xr

    from perfmodel.scenario import Scenario

__all__ = ["sweep", "write_sweep"]


def sweep(
    scenario: Scenario,
    over: Mapping[str, Any] | None = None,
    *,
    zipped: bool = False,
    draws: int = 100,
    seed: int = 0,
    keep_draws: bool = False,
    levels: Sequence[float] = LEVELS,
    variables: Sequence[str] | str | None = None,
    solver: str = "closed",
    single: bool = False,
    path: str | os.PathLike[str] | None = None,
    force: bool = False,
    lazy: bool = False,
    block_points: int | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Callable[[float], None] = lambda _: None,
    **values: Any,
) -> xr.Dataset:
    """Predict a scenario at every point of a grid.

    Parameters
    ----------
    scenario : Scenario
        Everything that is not swept; its policies are compared at every point.
    over, **values : mapping of str to sequence
        What is swept, in the order of the dimensions: numbers of the scenario (``pages``, ``vmas``,
        ``fault_rate``, ``threads``, ``same_vma``, ``cpus`` ...), constants of the machine
        (``shootdown``, ``pte`` ...; the value holds in every draw), and the choices ``kernel``,
        ``operation``, ``transition``, ``huge`` and ``machine``. A rate takes the place of threads, and
        the other way round.
    zipped : bool
        Go through the values together, the first of each, then the second, and make no grid: the
        dimension is ``point``.
    draws, seed : int
        Draws of the machine's constants behind the interval; 1 for the estimate alone, which is a
        hundred times faster.
    keep_draws : bool
        Give the draws themselves, along the dimension ``draw``, and no interval.
    levels : sequence of float
        Quantiles of the wait; they take up to half of the time.
    variables : sequence of str, optional
        Which variables to give, of `perfmodel.sweeping.variables.VARIABLES`. Default: all but those of cuts
        with a guard (``guarded_gain``, ``guarded_safe``), which ask `perfmodel.predict` point by point.
    solver : {"closed", "auto", "chain", "simulation"}
        ``closed`` answers every point in closed form and says where the stated error does not hold;
        the others ask :func:`perfmodel.predict` for such points, one after another (``simulation``: for
        every point), and its interval holds the simulation's own error. They too go on where they were
        stopped, and on a cluster.
    single : bool
        Keep numbers in single precision.
    path : path, optional
        Write to a ``.nc`` or ``.zarr`` file, and return it opened. A store that was left unfinished is
        gone on with. ``.parquet`` is written by `write_sweep`.
    force : bool
        Replace what is there.
    lazy : bool
        Return arrays of dask that are computed when they are looked at; without the counts of
        what has no answer. Needs the sweep extra.
    block_points : int, optional
        Points computed at a time.
    workers : int, optional
        Threads; of another solver than the closed forms, processes. Default: the CPUs that this process
        may use.
    cluster : str, optional
        Address of a dask.distributed scheduler that computes the blocks.
    progress : callable
        Told the share done, 0 to 1.

    Returns
    -------
    xarray.Dataset
        Dimensions in the order given, then ``policy``, then ``bound`` (low, estimate, high), ``draw``
        or ``level``; units and meanings in the attributes, the provenance in those of the whole. A
        point that is no scenario is NaN, and counted in ``impossible_points``; `verdict` and its like
        are flags. ``inside_stated_region`` says where the stated error was checked.

    Raises
    ------
    InputError
        If a parameter is unknown, a value wrong, or the result too large for memory and no path given.
    MissingExtraError
        If zarr, dask or a cluster is asked for and not installed.

    Examples
    --------
    >>> import perfmodel as pm
    >>> s = pm.Scenario(machine="xeon-vm-6.18")
    >>> found = pm.sweep(s, pages=[1, 16, 256], fault_rate=[1e3, 1e5], draws=1)
    >>> dict(found["net_gain"].sizes)
    {'pages': 3, 'fault_rate': 2, 'policy': 6}
    """
    axes = [axis_of(name, given) for name, given in {**(over or {}), **values}.items()]
    plan = make_plan(
        scenario, axes, zipped=zipped, draws=draws, seed=seed, keep_draws=keep_draws, levels=levels,
        variables=variables, solver=solver, single=single, block_points=block_points,
    )  # fmt: skip
    how: dict[str, Any] = {"workers": workers, "cluster": cluster, "progress": progress}
    if lazy:
        from perfmodel.sweeping.lazily import lazy_dataset

        return lazy_dataset(plan)
    if path is None:
        return compute(plan, **how)
    import xarray as xr

    target = Path(path)
    if target.suffix == ".parquet":
        raise InputError("a table has no dimensions to return", field="path",
                         expected=".nc or .zarr, or perfmodel.sweeping.write_sweep")  # fmt: skip
    write_sweep(plan, target, force=force, **how)
    if target.suffix == ".zarr":
        found: xr.Dataset = xr.open_dataset(target, engine="zarr", consolidated=False, chunks=None)
        return found
    return xr.load_dataset(target, engine="scipy")


def write_sweep(plan: Plan, path: Path, *, force: bool = False, **how: Any) -> None:
    """Write a sweep to a file; its suffix says the format.

    Parameters
    ----------
    plan : Plan
    path : Path
        ``.nc``, ``.zarr`` or ``.parquet``.
    force : bool
        Replace what is there.
    **how
        workers, cluster and progress as for :func:`sweep`; ``told``, of a Zarr store, gets remarks.

    Raises
    ------
    InputError
        If the suffix is another one, the file exists, or it cannot be written.
    """
    check_path(path, force=force)
    told = how.pop("told", lambda _: None)
    if path.suffix == ".zarr":
        write_zarr(plan, path, told=told, **how)
    elif path.suffix == ".nc":
        write_netcdf(plan, path, **how)
    else:
        write_parquet(plan, path, **how)


def check_path(path: Path, *, force: bool) -> None:
    """Refuse a path that cannot or must not be written, before any work is done.

    Raises
    ------
    InputError
        If the suffix is unknown, its folder is not there, or it exists and `force` is not set.
    """
    if path.suffix not in FORMATS:
        raise InputError(
            f"{path.suffix!r} is no format", file=path,
            expected=", ".join(f"{s} ({n})" for s, n in FORMATS.items()),
        )  # fmt: skip
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {str(path.parent)!r}", file=path)
    if path.exists() and not force:
        raise InputError("it exists and is not overwritten", file=path,
                         expected="another name, or --force (force=True)")  # fmt: skip
    if path.exists() and path.is_dir() != (path.suffix == ".zarr"):
        raise InputError("what is there is something else", file=path, expected="another name")
