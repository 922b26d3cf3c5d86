"""Who would lose stores if a cut were made although it is unsafe."""

from __future__ import annotations

from collections.abc import Mapping

from perfmodel.quantities.declare import Quantity, group

__all__ = ["STALE"]

#: Who would lose stores if a cut were made although it is unsafe.
STALE: Mapping[str, Quantity] = group(
    Quantity("forced_writes_per_s", r"\phi", "1/s", (0, 1e9), (0.01, 1e5),
             "writes of a debugger (get_user_pages with FOLL_FORCE) to pages of the call that somebody"
             " else refers to", "caller"),
    Quantity("stores_per_s", r"\sigma", "1/s", (0, 1e10), (1, 1e8),
             "stores to one page of the call by a CPU that has it cached", "caller"),
    Quantity("copy_us", "c", "us", (0, 1e6), (0.2, 100),
             "time from the copy of a word until the copied page is mapped", "wp_page_copy"),
)  # fmt: skip
