"""Who computes the blocks: this process, several of its threads, or a cluster; in order, few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.sweeping.answers import Found
from perfmodel.sweeping.evaluate import evaluate
from perfmodel.sweeping.plan import Plan, plan_of

if TYPE_CHECKING:
    from perfmodel.sweeping.plan import Block

__all__ = ["answer_blocks", "compute_block"]

#: Blocks that are asked for or wait to be written, for each worker: what bounds the memory.
_AHEAD = 2

#: Seconds to wait for a scheduler, and for its first worker.
TIMEOUT = 10.0

#: Times a cluster tries a block again whose worker was lost.
_RETRIES = 5


def compute_block(document: str, index: int) -> Found:
    """Answer one block of the plan that a document describes; what a worker runs."""
    plan = plan_of(document)
    return evaluate(plan, plan.block(index))


def answer_blocks(
    plan: Plan, indices: Iterable[int], *, workers: int = 1, cluster: str | None = None
) -> Iterator[tuple[Block, Found]]:
    """Answer blocks, in the order given; at most a few are in memory at a time.

    Parameters
    ----------
    plan : Plan
    indices : iterable of int
        Which blocks.
    workers : int
        Threads of this process. The compiled loop runs beside others; arrays hardly do.
    cluster : str, optional
        Address of a dask.distributed scheduler, whose workers are asked instead.

    Raises
    ------
    InputError
        If the cluster cannot be reached.
    MissingExtraError
        If it is asked for without its extra.
    """
    if cluster is not None:
        with _cluster(cluster, plan) as (ask, several):
            yield from _ahead(plan, indices, ask, several)
    elif workers > 1:
        # The first block compiles the loop, once.
        indices = iter(indices)
        for first in indices:
            yield plan.block(first), evaluate(plan, plan.block(first))
            break
        pool = ThreadPoolExecutor(workers)
        try:

            def submit(index: int) -> Any:
                return pool.submit(evaluate, plan, plan.block(index))

            yield from _ahead(plan, indices, submit, workers)
        finally:
            pool.shutdown(cancel_futures=True)
    else:
        for index in indices:
            yield plan.block(index), evaluate(plan, plan.block(index))


def _ahead(
    plan: Plan, indices: Iterable[int], submit: Callable[[int], Any], workers: int
) -> Iterator[tuple[Block, Found]]:
    """Keep every worker busy and hand the results out in order."""
    waiting: deque[tuple[int, Any]] = deque()
    for index in indices:
        waiting.append((index, submit(index)))
        if len(waiting) >= _AHEAD * workers:
            done, future = waiting.popleft()
            yield plan.block(done), future.result()
    while waiting:
        done, future = waiting.popleft()
        yield plan.block(done), future.result()


@contextmanager
def _cluster(address: str, plan: Plan) -> Iterator[tuple[Callable[[int], Any], int]]:
    """Give a function that asks a cluster for one block, and how many blocks it does at a time."""
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
        document, name = plan.document(), f"perfmodel-sweep-{plan.sha256[:16]}"

        def ask(index: int) -> Any:
            # The scheduler knows a block by its key: a lost one is computed again, and only that.
            return client.submit(
                compute_block, document, index, key=f"{name}-{index}", retries=_RETRIES
            )

        yield ask, sum(client.nthreads().values())
    finally:
        client.close()
