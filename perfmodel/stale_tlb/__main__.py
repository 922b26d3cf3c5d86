"""Explore every cell and write the table: ``python -m perfmodel.stale_tlb boundary.json``."""

from __future__ import annotations

import sys
from pathlib import Path

from perfmodel.stale_tlb.boundary import generate, to_json


def main() -> int:
    """Write the table to the file that is named."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m perfmodel.stale_tlb FILE\n")
        return 2
    table = generate()
    Path(sys.argv[1]).write_text(to_json(table), encoding="utf-8")
    states = sum(found.states for found in table.values())
    explorations = sum(found.companies for found in table.values())
    sys.stderr.write(f"{len(table)} cells, {explorations} explorations, {states} states\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
