"""Write the profiles that are put together from published figures; ``--check`` only compares them."""

from __future__ import annotations

import sys
from pathlib import Path

from perfmodel.published import load_published
from perfmodel.published.composite import COMPOSITES, composite

FOLDER = Path(__file__).parent / "profiles" / "published"


def main() -> int:
    """Write every composite, or tell which file is not what this script makes."""
    published = load_published()
    stale = 0
    FOLDER.mkdir(exist_ok=True)
    for name in COMPOSITES:
        path, content = FOLDER / f"{name}.json", composite(name, published).to_bytes()
        if "--check" not in sys.argv[1:]:
            path.write_bytes(content)
        elif not path.is_file() or path.read_bytes() != content:
            print(f"{path} is not what calibration/composites.py makes")  # noqa: T201
            stale = 1
    return stale


if __name__ == "__main__":
    raise SystemExit(main())
