"""Analytical performance models of Linux mmap_lock: when a downgrade in mprotect would pay.

The names below are imported when they are first used, so that ``import perfmodel`` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfmodel.breakeven import BreakEven, break_even
    from perfmodel.errors import InputError, ModelWarning, PerfmodelError
    from perfmodel.fit import Calibration, calibrate
    from perfmodel.fleet import Comparison, calibrate_fleet, compare
    from perfmodel.kernel import Kernel
    from perfmodel.machine import Machine
    from perfmodel.prediction import Prediction, predict
    from perfmodel.readers import read
    from perfmodel.scenario import Call, Faults, Policy, Scenario, Writers
    from perfmodel.sensitivity import elasticities, sobol
    from perfmodel.sweeping import sweep
    from perfmodel.verdict import Verdict
    from perfmodel.widgets import explore

__version__ = "0.1.0"

_HOME = {
    "BreakEven": "breakeven", "break_even": "breakeven", "Calibration": "fit",
    "calibrate": "fit", "InputError": "errors", "ModelWarning": "errors",
    "PerfmodelError": "errors", "Kernel": "kernel", "Machine": "machine",
    "Prediction": "prediction", "predict": "prediction", "read": "readers", "Call": "scenario",
    "Faults": "scenario", "Policy": "scenario", "Scenario": "scenario", "Writers": "scenario",
    "Verdict": "verdict", "elasticities": "sensitivity", "sobol": "sensitivity",
    "explore": "widgets", "sweep": "sweeping", "compare": "fleet", "Comparison": "fleet",
    "calibrate_fleet": "fleet",
}  # fmt: skip

__all__ = [  # noqa: RUF022  (in the order a user meets them)
    "Machine", "Kernel", "Scenario", "Call", "Faults", "Writers", "Policy",
    "predict", "Prediction", "Verdict", "break_even", "BreakEven",
    "elasticities", "sobol", "sweep", "compare", "Comparison",
    "read", "calibrate", "Calibration", "calibrate_fleet", "explore",
    "PerfmodelError", "InputError", "ModelWarning", "__version__",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'perfmodel' has no attribute {name!r}")
    module = import_module(f"perfmodel.{_HOME[name]}")
    # No public name may also be a module: importing the module would replace the function.
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
