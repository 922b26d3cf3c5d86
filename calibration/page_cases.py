"""Three cases of people who met the lock, walked through on the self-contained page, with screenshots.

    python calibration/page_cases.py [--output notebooks/figures]

A case is a press on its preset, a number of one's own where there is one, and a press on "Copy quote". Printed
are the quote, the actions and the seconds that the page takes for them from opening it on: what is left of the
two minutes that a person should need is theirs, for reading.
Needs a Chromium and the ``test`` extra. It fails unless verdict and quote are in the picture and the quote
is what `perfmodel predict --solver closed` says of the same scenario.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfmodel.machine import Machine, shipped_profiles
from perfmodel.prediction import predict
from perfmodel.scenario import Scenario
from perfmodel.webpage import page_html

# The benches lie in a folder of scripts, which import each other by name.
sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
from explorer import BROWSER, REPOSITORY

#: Pixels of a small laptop, and the most that a picture may weigh.
WIDTH, HEIGHT, MOST_BYTES = 1280, 800, 250_000


@dataclass(frozen=True)
class Case:
    """Who asks, where they start, and which number they set."""

    asked: str
    preset: str
    numbers: tuple[tuple[str, str], ...] = ()


CASES = (
    Case("ruby/ruby#5032: a JIT compiler toggles W^X; what if a quarter megabyte is toggled at once?",
         "jit", (("pages", "64"),)),
    Case("bdwgc #430: a collector protects a 64 MiB heap to find dirty pages",
         "gc-barrier", (("pages", "16384"),)),
    Case("Lorenzo Stoakes, 2024: guard pages of new stacks", "guard-pages"),
)  # fmt: skip


def walk(page: Any, case: Case) -> str:
    """Do what a person does and return the quote that the page then shows."""
    page.get_by_role("button", name=case.preset, exact=True).click()
    for label, value in case.numbers:
        page.get_by_label(f"{label}, as a number", exact=True).fill(value)
    page.wait_for_function("() => document.body.dataset.done && document.body.dataset.swept")
    page.get_by_role("button", name="Copy quote").click()
    return str(page.locator("#exchange").input_value())


def verify(page: Any, quote: str) -> None:
    """Hold page and quote against Python.

    Raises
    ------
    RuntimeError
        If they differ, or a person would have to scroll for them.
    """
    given = page.evaluate("() => scenarioGiven(STATE)")
    machine = Machine.load(shipped_profiles()[given["machine"]])
    sentence = predict(Scenario.from_dict(given, machine=machine), solver="closed").verdict.sentence
    if sentence not in quote:
        raise RuntimeError(f"the page quotes {quote!r}, Python says {sentence!r}")
    for shown in ("#verdict", "#exchange"):
        box = page.locator(shown).bounding_box()
        if box is None or box["y"] < 0 or box["y"] + box["height"] > HEIGHT:
            raise RuntimeError(f"{shown} is not in the picture: {json.dumps(box)}")


def main() -> None:
    """Walk, verify, and save the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=REPOSITORY / "notebooks" / "figures")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        file = Path(name) / "explorer.html"
        file.write_text(page_html([Machine.load(p) for p in shipped_profiles().values()]), "utf-8")
        browser = playwright.chromium.launch(executable_path=BROWSER.chromium(), args=BROWSER.FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        for number, case in enumerate(CASES, 1):
            start = time.perf_counter()
            page.goto("about:blank")
            page.goto(file.as_uri())
            quote = walk(page, case)
            seconds = time.perf_counter() - start
            verify(page, quote)
            picture = page.screenshot()
            if len(picture) > MOST_BYTES:
                raise RuntimeError(f"the picture of case {number} has {len(picture)} bytes")
            (folder / f"page_case_{number}.png").write_bytes(picture)
            actions = 3 + len(case.numbers)
            sys.stdout.write(
                f"{number}. {case.asked}\n{actions} actions, {seconds:.1f} s\n{quote}\n"
            )
        browser.close()


if __name__ == "__main__":
    main()
