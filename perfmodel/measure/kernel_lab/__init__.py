"""The kernel laboratory: a 6.1 kernel whose mprotect can be cut at run time, measured in a guest.

Everything from here is evidence of kind "emulated": a QEMU guest, under KVM where the host lets us
and under QEMU's own CPU emulation (TCG) elsewhere. It is about the order of things and about which
thread waits for which; its nanoseconds are no machine's.
"""

from __future__ import annotations

from perfmodel.measure.kernel_lab.plan import CUTS, GROUPS, Plan, make_plan
from perfmodel.measure.kernel_lab.session import run_lab

__all__ = ["CUTS", "GROUPS", "Plan", "make_plan", "run_lab"]
