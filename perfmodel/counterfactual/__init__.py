"""The counterfactual, measured: a lock that one can really downgrade, on real cores.

mprotect does not downgrade mmap_lock, so its gain cannot be read off a kernel. Here readers and
writers share a lock of our own that follows the kernel's rules (``calibration/bench/rwsem.c``), in
short slices with the downgrade and without it, and the lock models are asked to foretell the effect
from constants that were timed apart from it. What it does not hold: page tables, TLBs, faults.

Known from the first runs, on two virtual CPUs: where every thread finds a CPU, signs and sizes come out
as foretold. Where threads share CPUs, waits are longer than the models say (`turns`): these know no time
slices. A caller that sleeps is passed by readers that need no sleep, so fast readers slow it down more
than the product's solvers, which let it run at once, say; the simulation with ``steal`` knows that.

    python -m perfmodel.counterfactual record calibration/data/<machine>/downgrade-1.json
    python -m perfmodel.counterfactual compare calibration/data/<machine>/downgrade-1.json
"""

from __future__ import annotations

from perfmodel.counterfactual.compare import Comparison, Score, compare_run, score, turns
from perfmodel.counterfactual.configuration import GROUPS, Configuration, grid
from perfmodel.counterfactual.document import Run, load, recorded
from perfmodel.counterfactual.effects import Effect, Measured, measured
from perfmodel.counterfactual.predicted import Predicted, keep, kept, predict_one, predict_run
from perfmodel.counterfactual.question import Constants, laws, locks
from perfmodel.counterfactual.recording import record

__all__ = [
    "GROUPS", "Comparison", "Configuration", "Constants", "Effect", "Measured", "Predicted", "Run",
    "Score", "compare_run", "grid", "keep", "kept", "laws", "load", "locks", "measured",
    "predict_one", "predict_run", "record", "recorded", "score", "turns",
]  # fmt: skip
