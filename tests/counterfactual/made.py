"""Slices, records and constants made up so that their numbers are known."""

from __future__ import annotations

from dataclasses import asdict

from perfmodel.counterfactual import Configuration

COLUMNS = [
    "arm", "ns", "reads", "reads_blocked", "read_wait_ns", "reads_moved", "calls", "calls_blocked",
    "call_wait_ns", "call_ns", "calls_late", "woken", "reader_cpu_ns", "writer_cpu_ns", "own_cpu_ns",
    "idle_ns", "delay_ns", "preempted", "slept",
]  # fmt: skip

SLICE = 40_000_000


def row(arm: int, reads: int, wait_ns: int, *, blocked: int = 50, taken: float = 0.0) -> list[int]:
    """Return a slice; `taken` is the share of both CPUs that others took."""
    got = dict.fromkeys(COLUMNS, 0) | {
        "arm": arm, "ns": SLICE, "reads": int(reads), "reads_blocked": blocked, "read_wait_ns": wait_ns,
        "calls": 200, "calls_blocked": 20, "call_wait_ns": 100_000, "call_ns": 4_000_000,
        "own_cpu_ns": round(2 * SLICE * (1 - taken)), "delay_ns": round(2 * SLICE * taken),
        "slept": 10,
    }  # fmt: skip
    return [got[name] for name in COLUMNS]


def record_of(configuration: Configuration, slices: list[list[int]]) -> dict:
    return {
        "benchmark": "downgrade", "operation": "lock", "configuration": asdict(configuration),
        "conditions": {"cpus": 2, "idle_known": True, "delay_known": True, "seed": 1},
        "columns": COLUMNS, "slices": slices, "waits": [{"low": [64], "count": [3]}] * 2,
        "count_at_end": 0, "waiting_at_end": 0, "tries": 1,
    }  # fmt: skip


def pairs(reads: tuple[int, int], wait: tuple[int, int], count: int = 12) -> list[list[int]]:
    """Return slices of both arms in changing order; even pairs are better for both arms alike."""
    found = []
    for i in range(count):
        more = 100 if i % 2 else 0
        both = [row(0, reads[0] + more, wait[0]), row(1, reads[1] + more, wait[1])]
        found += both if i % 3 else both[::-1]
    return found


def constant(operation: str, median: float, **conditions: float) -> dict:
    return {
        "benchmark": "downgrade_constant", "operation": operation, "conditions": conditions,
        "phase": "time", "unit": "ns", "count": 9, "min": median, "max": median, "mean": median,
        "median": median, "samples": [median] * 9,
    }  # fmt: skip


def constants() -> list[dict]:
    return [
        constant("read_pair", 20.0), constant("write_pair", 20.0),
        constant("write_downgrade_read", 30.0), constant("empty_read", 80.0),
        constant("empty_call", 120.0),
        *(constant("oversleeping", 20_000.0 + 0.001 * at, asked_ns=at) for at in (2e4, 1e6, 1e7)),
        *(constant("wake_idle", 15_000.0 + 0.01 * at, asleep_ns=at) for at in (2e3, 1e5, 5e6)),
        *(constant("wake_crowd_waker", 11_000.0 + 1_000.0 * n, sleepers=n) for n in (1, 2, 5)),
        constant("wake_same_cpu", 1_500.0, asleep_ns=2e4),
    ]  # fmt: skip


def document(records: list[dict]) -> dict:
    return {
        "schema": "perfmodel.downgrade/1", "status": "complete", "started": "2026-01-01T00:00:00",
        "finished": "2026-01-01T00:10:00", "tool": {}, "steal_ticks": 0, "noise": [],
        "machine": {"cpu": {"count": 2, "usable": 2, "model": "Made Up"}, "virtualisation": "none"},
        "constants": constants(), "records": records,
    }  # fmt: skip
