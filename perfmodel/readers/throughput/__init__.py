"""Formats that tell operations per second: read as the time that one task needs for one.

The count of such a group is the number of rates behind its mean (runs, samples), not that of the
operations; where the format tells those, ``operations`` in the conditions does.
"""

from perfmodel.readers.throughput import (
    lkp_json,
    lkp_mail,
    lmbench,
    perf_bench,
    stress_ng_log,
    stress_ng_yaml,
    will_it_scale,
    will_it_scale_stdout,
)

__all__ = ["READERS"]

READERS = (
    lkp_mail.READER,
    lkp_json.READER,
    will_it_scale.READER,
    will_it_scale_stdout.READER,
    stress_ng_yaml.READER,
    stress_ng_log.READER,
    lmbench.READER,
    perf_bench.READER,
)
