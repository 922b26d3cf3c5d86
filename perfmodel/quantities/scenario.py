"""What a question is about: the call, the faults, the writers."""

from __future__ import annotations

from collections.abc import Mapping

from perfmodel.quantities.declare import Quantity, group

__all__ = ["SCENARIO"]


#: What a question is about: the call, the faults, the writers.
SCENARIO: Mapping[str, Quantity] = group(
    Quantity("pages", "p", "pages", (1, 2**36), (1, 2**20), "pages in the range of the call", "caller", True),
    Quantity("vmas", "v", "1", (1, 65530), (1, 64), "VMAs that the range covers", "vm.max_map_count", True),
    Quantity("splits", "n_s", "1", (0, 2), (0, 2), "VMAs the call must split", "split_vma", True),
    Quantity("merges", "n_m", "1", (0, 65530), (0, 2), "VMAs the call merges away", "vma_merge", True),
    Quantity("populated", "f_p", "1", (0, 1), (0, 1), "share of the pages that are present", "caller"),
    Quantity("remote_cpus", "c", "1", (0, 8191), (0, 255),
             "other CPUs on which the process runs and whose TLB must be flushed; may be a mean", "mm_cpumask"),
    Quantity("fault_threads", "n", "1", (1, 65536), (1, 256), "threads that fault", "caller", True),
    Quantity("fault_think_us", "Z_f", "us", (0, 1e9), (0.5, 1e5),
             "time a faulting thread runs between two faults", "caller"),
    Quantity("fault_rate", r"\lambda_r", "1/s", (0, 1e9), (10, 5e6), "faults of the whole process", "caller"),
    Quantity("same_vma", "q", "1", (0, 1), (0, 1), "share of the faults that hit a VMA of the call", "caller"),
    Quantity("first_touch", "f_1", "1", (0, 1), (0, 1),
             "share of the other faults that are the first write to a fresh anonymous VMA",
             "__vmf_anon_prepare falls back to mmap_lock"),
    Quantity("wp_share", "w", "1", (0, 1), (0, 1),
             "share of the faults that write to a present, read-only page: who a guard concerns", "do_wp_page"),
    Quantity("io_share", "p_{io}", "1", (0, 1), (1e-5, 0.1), "share of the faults that wait for I/O under the lock",
             "caller"),
    Quantity("io_us", r"\tau", "us", (0, 1e9), (10, 1e5), "mean time of that I/O", "caller"),
    Quantity("writer_threads", "m", "1", (1, 65536), (1, 64), "threads that make the call", "caller", True),
    Quantity("writer_think_us", "Z_m", "us", (0, 1e12), (1, 1e7), "time between two calls of one thread", "caller"),
    Quantity("writer_rate", r"\lambda_w", "1/s", (0, 1e9), (0.1, 1e6), "calls of the whole process", "caller"),
    Quantity("cpus", "C", "1", (1, 8192), (1, 256), "CPUs the process may run on", "caller", True),
)  # fmt: skip
