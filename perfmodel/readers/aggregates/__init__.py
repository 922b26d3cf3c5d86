"""Formats that tell of many durations only their number, mean and extremes."""

from perfmodel.readers.aggregates import (
    google_benchmark,
    hyperfine,
    klockstat,
    lock_stat,
    perf_lock_csv,
    perf_lock_table,
    pytest_benchmark,
)

__all__ = ["READERS"]

READERS = (
    perf_lock_csv.READER,
    perf_lock_table.READER,
    lock_stat.READER,
    klockstat.READER,
    hyperfine.READER,
    google_benchmark.READER,
    pytest_benchmark.READER,
)
