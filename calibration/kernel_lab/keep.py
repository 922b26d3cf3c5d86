"""Keep a run of the kernel laboratory with the recorded ones: small, and the same bytes every time.

``python calibration/kernel_lab/keep.py RUN FOLDER`` copies the documents of RUN into FOLDER, each
compressed and without the pairs of fault and call that it drew from its histograms' events: the
comparison of cuts uses the histograms alone. Traces and the log stay behind.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

#: What is left out of each record.
PAIRS = ("pairs", "pairs_kept", "pairs_total")


def kept(document: dict) -> bytes:
    """Return a document of the measuring programs as it is kept."""
    records = [{k: v for k, v in r.items() if k not in PAIRS} for r in document["records"]]
    text = json.dumps(document | {"records": records, "trace": None}, separators=(",", ":"))
    return gzip.compress(text.encode(), 9, mtime=0)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="what perfmodel measure --kernel-lab wrote")
    parser.add_argument("folder", type=Path, help="below calibration/data; made if it is missing")
    given = parser.parse_args()
    documents = sorted(given.run.glob("boot*.json"))
    races = given.run / "races.json"
    if not documents and not races.is_file():
        parser.error(f"{given.run} holds no document of the laboratory")
    given.folder.mkdir(parents=True, exist_ok=True)
    for path in documents:
        content = kept(json.loads(path.read_text(encoding="utf-8")))
        (given.folder / f"{path.name}.gz").write_bytes(content)
    if races.is_file():
        (given.folder / races.name).write_bytes(races.read_bytes())


if __name__ == "__main__":
    main()
