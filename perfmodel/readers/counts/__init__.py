"""Formats of which only the counts can be used.

perf stat counts and does not time. ``perf trace -s`` and ``strace -c`` time every call with a
wake-up of the tracer in it: 33 and 25 µs for an mprotect of 0.34 µs on a 2-CPU guest. Their means
are NaN here, so that nothing can be fitted to them.
"""

from perfmodel.readers.counts import perf_stat, perf_stat_json, perf_trace_summary, strace_summary

__all__ = ["READERS"]

READERS = (
    perf_stat_json.READER,
    perf_trace_summary.READER,
    strace_summary.READER,
    perf_stat.READER,
)
