"""The HTML in a real browser: nobody is shut out, on a desk or a phone, by day or by night."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfmodel.writeup import Document, contents

from ..browser.conftest import FLAGS, chromium, wounds

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("write-up")]

SIZES = ({"width": 1280, "height": 900}, {"width": 390, "height": 844})


def test_the_page_can_be_read_everywhere(document: Document, tmp_path: Path) -> None:
    if chromium() is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    pytest.importorskip("playwright")
    from playwright.sync_api import sync_playwright

    path = tmp_path / "write-up.html"
    path.write_bytes(contents(document)["write-up.html"])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport=SIZES[0], color_scheme=scheme)
                said: list[str] = []
                page.on("pageerror", lambda error, said=said: said.append(str(error)))
                page.goto(path.as_uri())
                for size in SIZES:
                    page.set_viewport_size(size)
                    # Wide tables scroll by themselves; the page never does.
                    beyond = page.evaluate(
                        "() => document.documentElement.scrollWidth - innerWidth"
                    )
                    assert beyond <= 0
                    assert wounds(page) == []
                assert said == []
                page.close()
        finally:
            browser.close()
