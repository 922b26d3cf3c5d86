"""The notebook and its explorer in a real browser: what a person who moves a slider gets."""

from __future__ import annotations

import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
from typing import Any

import pytest

# One worker: they share one page, in the order written.
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

FIGURE = "img.perfmodel-figure"


def rev(page: Any) -> int:
    return int(page.locator(FIGURE).get_attribute("data-rev"))


def settled(page: Any) -> None:
    """Wait until interval and curve are there; the picture is the last to change."""
    page.wait_for_function(
        """() => document.querySelector('.perfmodel-status')?.dataset.state === 'ready'"""
    )
    page.wait_for_function(
        """() => { const r = document.querySelector('img.perfmodel-figure').dataset.rev;
                   const s = window.__seen ??= {r, at: performance.now()};
                   if (s.r !== r) { s.r = r; s.at = performance.now(); }
                   return performance.now() - s.at > 250; }""",
        polling=50,
    )
    page.evaluate("() => { delete window.__seen }")


def press(page: Any, name: str, key: str) -> None:
    before = rev(page)
    handle = page.get_by_role("slider", name=name, exact=True)
    handle.focus()
    handle.press(key)
    page.wait_for_function(
        "r => Number(document.querySelector('img.perfmodel-figure').dataset.rev) > r",
        arg=before, polling="raf",
    )  # fmt: skip


def click(page: Any, name: str) -> None:
    before = rev(page)
    page.locator(".perfmodel-explorer").get_by_role("button", name=name, exact=True).first.click()
    page.wait_for_function(
        "r => Number(document.querySelector('img.perfmodel-figure').dataset.rev) > r",
        arg=before, polling="raf",
    )  # fmt: skip
    settled(page)


def sentence(page: Any) -> str:
    # textContent: the notebook leaves cells out of the layout while they are out of sight, and
    # innerText is empty then.
    return str(page.locator(".perfmodel-explorer .perfmodel-verdict span").text_content())


def table(page: Any) -> list[list[str]]:
    return list(page.locator(".perfmodel-explorer table.perfmodel-policies").evaluate(
        "t => [...t.querySelectorAll('tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
    ))  # fmt: skip


def fits(page: Any) -> bool:
    """Whether the table is shown without a scroll bar."""
    return bool(page.locator(".perfmodel-explorer table.perfmodel-policies").evaluate(
        """t => { const box = t.closest('.widget-html, .widget-html-content').parentElement;
                  return t.getBoundingClientRect().right <= box.getBoundingClientRect().right + 1; }"""
    ))  # fmt: skip


def picture(page: Any) -> str:
    data = page.evaluate(
        """async () => [...new Uint8Array(await (await fetch(
             document.querySelector('img.perfmodel-figure').src)).arrayBuffer())]"""
    )
    return hashlib.sha256(bytes(data)).hexdigest()


def predicted(**changes: Any) -> Any:
    import perfmodel as pm

    scenario = pm.Scenario(
        machine="xeon-vm-6.18", kernel="5.11",
        call=pm.Call("mprotect", pages=1, remote_cpus=0),
        faults=pm.Faults(rate=50_000), writers=pm.Writers(threads=1, think_us=200), cpus=48,
    )  # fmt: skip
    return pm.predict(scenario.replace(**changes))


def rows(prediction: Any) -> list[list[str]]:
    from perfmodel.widgets.tables import policy_table

    found = re.findall(r"<tr>(.*?)</tr>", policy_table(prediction).split("<tbody>")[1])
    return [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row)]
            for row in found]  # fmt: skip


def snapshot(page: Any, name: str) -> None:
    """Keep a screenshot where PERFMODEL_SCREENSHOTS names a folder."""
    folder = os.environ.get("PERFMODEL_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")


def test_notebook_runs_to_its_last_assert(page: Any) -> None:
    page.wait_for_function(
        """() => { const nb = window.jupyterapp.shell.currentWidget.content;
                   const code = nb.widgets.filter(c => c.model.type === 'code');
                   return code.at(-1).model.executionCount !== null; }""",
        timeout=60_000,
    )
    errors = page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.widgets
                 .filter(c => c.model.type === 'code')
                 .flatMap(c => c.model.sharedModel.outputs)
                 .filter(o => o.output_type === 'error' || o.name === 'stderr')
                 .map(o => o.evalue ?? o.text)"""
    )
    assert errors == []


def test_explorer_appears_and_agrees_with_predict(page: Any) -> None:
    figure = page.locator(FIGURE)
    figure.scroll_into_view_if_needed()
    settled(page)
    snapshot(page, "explorer-at-start")
    expected = predicted()
    assert sentence(page) == expected.verdict.sentence
    assert table(page) == rows(expected)
    box = figure.bounding_box()
    assert box["width"] > 600
    assert "Hold of one call" in figure.get_attribute("alt")
    # Nothing is cut off at the right of a window of 1280 pixels.
    root = page.locator(".perfmodel-explorer").first.evaluate(
        "e => [e.scrollWidth, e.clientWidth, e.getBoundingClientRect().right]"
    )
    assert root[0] <= root[1] + 1
    assert root[2] <= 1280
    assert fits(page)


def test_a_key_moves_picture_verdict_and_table_and_back(page: Any) -> None:
    settled(page)
    before = picture(page), sentence(page), table(page)
    press(page, "pages", "ArrowRight")
    settled(page)
    after = picture(page), sentence(page), table(page)
    assert all(a != b for a, b in zip(before, after, strict=True))
    expected = predicted(pages=2)
    assert after[1] == expected.verdict.sentence
    assert after[2] == rows(expected)
    press(page, "pages", "ArrowLeft")
    settled(page)
    assert (picture(page), sentence(page), table(page)) == before


def test_a_toggle_swaps_the_sliders(page: Any) -> None:
    settled(page)
    assert page.get_by_role("slider", name="fault threads").count() == 0
    click(page, "threads")
    assert page.get_by_role("slider", name="fault threads").is_visible()
    assert page.get_by_role("slider", name="fault rate (1/s)").count() == 0
    press(page, "pages", "End")
    settled(page)
    assert fits(page)
    snapshot(page, "explorer-large")
    click(page, "Reset")
    assert sentence(page) == predicted().verdict.sentence


def test_a_refused_value_is_told_and_not_kept(page: Any) -> None:
    settled(page)
    page.get_by_role("slider", name="VMAs", exact=True).focus()
    page.keyboard.press("ArrowRight")
    alert = page.locator("[role=alert].perfmodel-alert")
    alert.wait_for()
    assert "2 VMAs cannot share 1 page(s)" in alert.inner_text()
    snapshot(page, "explorer-alert")
    assert sentence(page) == predicted().verdict.sentence
    press(page, "pages", "ArrowRight")
    alert.wait_for(state="detached")
    press(page, "pages", "ArrowLeft")


def test_every_slider_has_a_name(page: Any) -> None:
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('.perfmodel-explorer .noUi-handle')]
                 .filter(h => !h.getAttribute('aria-label')).length"""
    )
    assert unnamed == 0


def test_a_move_is_on_the_screen_soon(page: Any, record_property: Any) -> None:
    settled(page)
    page.evaluate(
        """() => { window.addEventListener('keydown', () => { window.__t0 = performance.now(); }, true);
             new MutationObserver(() => { window.__t1 ??= performance.now(); }).observe(
               document.querySelector('img.perfmodel-figure'),
               {attributes: true, attributeFilter: ['data-rev']}); }"""
    )
    times = []
    for key in ("ArrowRight", "ArrowLeft") * 4:
        page.evaluate("() => { window.__t1 = undefined; }")
        press(page, "same VMA", "ArrowLeft" if key == "ArrowRight" else "ArrowRight")
        times.append(page.evaluate("() => window.__t1 - window.__t0"))
        settled(page)
    median = statistics.median(times)
    record_property("key_to_picture_ms", [round(t) for t in times])
    sys.stdout.write(f"key to picture, ms: {[round(t) for t in times]}\n")
    assert median < 600


def test_console_was_quiet(page: Any, complaints: list[str]) -> None:
    for name, cell in {
        "top": 0,
        "large": 7,
        "phases": 10,
        "turns": 14,
        "safety": 22,
        "end": 26,
    }.items():
        page.evaluate(
            "n => window.jupyterapp.shell.currentWidget.content.scrollToItem(n, 'start')", cell
        )
        snapshot(page, f"notebook-{name}")
    assert complaints == []


def test_server_stops_and_leaves_no_kernel(page: Any, lab: Any) -> None:
    kernels = json.loads(lab.request("GET", "/api/kernels"))
    assert len(kernels) == 1
    lab.stop()
    assert lab.process.poll() is not None
    left = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True)
    assert kernels[0]["id"] not in left.stdout
    assert lab.base.rsplit(":", 1)[1] not in left.stdout.replace("[", "")
