"""Who does the work: threads or processes of this machine, or a cluster; in order, few at a time."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.sweeping.answers import Found
from perfmodel.sweeping.evaluate import evaluate
from perfmodel.sweeping.plan import Plan, plan_of

if TYPE_CHECKING:
    from perfmodel.sweeping.plan import Block

__all__ = ["answer_blocks", "compute_block", "each_on_cluster", "each_on_processes", "usable_cpus"]

Item = TypeVar("Item")

#: Items that are asked for or wait to be written, for each worker: what bounds the memory.
_AHEAD = 2

#: Seconds to wait for a scheduler, and for its first worker.
TIMEOUT = 10.0

#: Times a cluster tries an item again whose worker was lost.
_RETRIES = 5


def usable_cpus() -> int:
    """Return the number of CPUs that this process may run on."""
    return len(os.sched_getaffinity(0))


def compute_block(document: str, index: int) -> Found:
    """Answer one block of the plan that a document describes; what a worker runs."""
    plan = plan_of(document)
    return evaluate(plan, plan.block(index))


def answer_blocks(
    plan: Plan, indices: Iterable[int], *, workers: int | None = None, cluster: str | None = None,
    loop: bool | None = None,
) -> Iterator[tuple[Block, Found]]:  # fmt: skip
    """Answer blocks, in the order given; at most a few are in memory at a time.

    Blocks are computed beside the caller, who may write one while the next are under way.

    Parameters
    ----------
    plan : Plan
    indices : iterable of int
        Which blocks.
    workers : int, optional
        Threads of this process: the compiled loop runs beside others, arrays hardly do. Where another
        solver than the closed forms is asked, or guards, which hold the interpreter, processes. Default: the CPUs
        that this process may use.
    cluster : str, optional
        Address of a dask.distributed scheduler, whose workers are asked instead.
    loop : bool, optional
        As :func:`perfmodel.sweeping.evaluate.evaluate`; a cluster's workers choose themselves.

    Raises
    ------
    InputError
        If the cluster cannot be reached.
    MissingExtraError
        If it is asked for without its extra.
    """
    if cluster is not None:
        name, given = f"perfmodel-sweep-{plan.sha256[:16]}", (plan.document(),)
        answers = each_on_cluster(compute_block, indices, given, cluster=cluster, name=name)
    elif plan.pointwise and plan.blocks > 1:
        answers = each_on_processes(compute_block, indices, (plan.document(),), workers=workers)
    else:
        answers = _on_threads(plan, indices, workers or usable_cpus(), loop)
    for index, found in answers:
        yield plan.block(index), found


def _on_threads(
    plan: Plan, indices: Iterable[int], workers: int, loop: bool | None
) -> Iterator[tuple[int, Found]]:
    def answer(index: int) -> Found:
        return evaluate(plan, plan.block(index), loop=loop)

    # The first block compiles the loop, once.
    indices = iter(indices)
    for first in indices:
        yield first, answer(first)
        break
    with _pool(ThreadPoolExecutor(workers)) as pool:
        yield from _ahead(indices, lambda i: pool.submit(answer, i), workers)


def each_on_processes(
    function: Callable[..., Any], items: Iterable[Item], given: tuple[Any, ...] = (), *,
    workers: int | None = None,
) -> Iterator[tuple[Item, Any]]:  # fmt: skip
    """Call a function of a module for each item, in processes of this machine; in order.

    For what holds the interpreter and so gains nothing from threads.

    Parameters
    ----------
    function : callable
        Called with what is `given`, then the item.
    items : iterable
    given : tuple
    workers : int, optional
        Processes. Default: the CPUs that this process may use; of one none is started.

    Yields
    ------
    item, result
    """
    count = workers or usable_cpus()
    if count == 1:
        for item in items:
            yield item, function(*given, item)
        return
    # Not forked: threads of numba or BLAS may be under way here.
    fresh = multiprocessing.get_context("spawn")
    with _pool(ProcessPoolExecutor(count, mp_context=fresh)) as pool:
        yield from _ahead(items, lambda item: pool.submit(function, *given, item), count)


def each_on_cluster(
    function: Callable[..., Any], items: Iterable[Item], given: tuple[Any, ...] = (), *,
    cluster: str, name: str,
) -> Iterator[tuple[Item, Any]]:  # fmt: skip
    """Call a function of a module for each item, on a cluster; in order.

    Parameters
    ----------
    function, items, given
        As `each_on_processes`.
    cluster : str
        Address of a dask.distributed scheduler.
    name : str
        Of the whole: the scheduler knows an item by it and its own text.

    Raises
    ------
    InputError
        If the cluster cannot be reached.
    MissingExtraError
        If dask.distributed is not installed.
    """
    with _cluster(cluster) as (client, several):

        def ask(item: Item) -> Any:
            # By its key: an item whose worker was lost is computed again, and only that.
            return client.submit(function, *given, item, key=f"{name}-{item}", retries=_RETRIES)

        yield from _ahead(items, ask, several)


@contextmanager
def _pool(pool: Executor) -> Iterator[Executor]:
    """Give a pool, and begin nothing more of it once the caller goes."""
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _ahead(
    items: Iterable[Item], submit: Callable[[Item], Any], workers: int
) -> Iterator[tuple[Item, Any]]:
    """Keep every worker busy and hand the results out in order."""
    waiting: deque[tuple[Item, Any]] = deque()
    for item in items:
        waiting.append((item, submit(item)))
        if len(waiting) >= _AHEAD * workers:
            done, future = waiting.popleft()
            yield done, future.result()
    while waiting:
        done, future = waiting.popleft()
        yield done, future.result()


@contextmanager
def _cluster(address: str) -> Iterator[tuple[Any, int]]:
    """Give the client of a cluster, and how many items it does at a time."""
    try:
        import distributed
    except ImportError:
        raise MissingExtraError("dask.distributed", "sweep") from None
    try:
        made: Any = distributed.Client
        client = made(address, timeout=TIMEOUT, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise InputError(
            f"no scheduler answers at {address!r} ({error})", field="cluster",
            expected="an address such as tcp://host:8786",
        ) from None  # fmt: skip
    try:
        try:
            client.wait_for_workers(1, timeout=TIMEOUT)
        except TimeoutError:
            raise InputError(f"the scheduler at {address!r} has no worker", field="cluster",
                             expected="at least one") from None  # fmt: skip
        yield client, sum(client.nthreads().values())
    finally:
        client.close()
