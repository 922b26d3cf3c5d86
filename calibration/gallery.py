"""Make the gallery of all figures anew: the page and its pictures, from the recorded run.

python calibration/gallery.py            # docs page and pictures, about two minutes
python calibration/gallery.py --page     # the page alone, with the captions that it has
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from perfmodel.figures import EVERY, FAILURES, WRITE_UP, Inputs, write_all
from perfmodel.report.gallery import gallery_markdown
from perfmodel.report.pictures import caption

ROOT = Path(__file__).resolve().parent.parent
NAME = "xeon-vm-6.18"
PAGE = ROOT / "notebooks" / "gallery.md"
PICTURES = ROOT / "notebooks" / "figures"


def captions_of(text: str) -> dict[str, str]:
    """Return the captions of a page by the name of the figure."""
    found = re.findall(r"^`(\w+)`(?: \([^)]*\))?: (.*)$", text, re.MULTILINE)
    return dict(found)


def page(captions: dict[str, str]) -> str:
    """Return the page with these captions."""
    besides = [kind for kind in FAILURES if kind not in WRITE_UP]
    sections = {"Of the write-up": WRITE_UP, "Where the models are wrong": besides}
    return gallery_markdown(sections, captions, PICTURES.name)


def main() -> int:
    """Draw all figures, and write the page."""
    names = sys.argv[1:] or [kind.name for kind in EVERY]
    captions = captions_of(PAGE.read_text()) if PAGE.is_file() else {}
    if names != ["--page"]:
        inputs = Inputs.shipped(NAME)
        with tempfile.TemporaryDirectory() as folder:
            write_all(inputs.machine, inputs.table, directory=folder, formats=("png",), only=names)
            for picture in sorted(Path(folder).glob("*.png")):
                shutil.copy(picture, PICTURES)
                captions[picture.stem] = caption(picture)
    PAGE.write_text(page(captions))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
