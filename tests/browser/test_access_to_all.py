"""Every page for everybody: axe finds no violation, in three languages, light, dark and on a phone.

axe-core comes with the package ``axe-playwright-python``; without it these tests are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.events import ReadOptions, from_frame
from stagecast.features.stages.lifecycle import fit_lifecycle
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.languages.display import LANGUAGES, Display, Language
from stagecast.serving.reports.lifecycle_report import movement, movement_figures
from stagecast.serving.reports.run_report import render_report
from tests.browser.test_jobs import PLACES
from tests.serving.reports.test_report_languages import scores_of_a_shop, summary_of_a_shop
from tests.training.made import frame_of, simulated_rows

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
MOST_PRINTED_PAGES = 8
NEXT_STEP = "stagecast score EVENTS --model a-folder-with-a-long-name/model --out scores.parquet"
LOOKS = (("light", 1280), ("dark", 1280), ("light", 390))
ALWAYS = (("en", "light", 1280), ("fa", "dark", 1280))
"""Looked at by `make test`: both directions of writing and both schemes; the others are long."""
CASES = [
    pytest.param(language, *look, marks=() if (language, *look) in ALWAYS else pytest.mark.long)
    for language in LANGUAGES
    for look in LOOKS
]


@pytest.fixture(scope="module")
def axe() -> str:
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    file = resources.files("axe_playwright_python") / "axe.min.js"
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report() -> Callable[[Language], str]:
    """Return what writes the report of a run in a language, with how its customers move."""
    with from_frame(frame_of(simulated_rows(300, 500, seed=4)), ReadOptions()) as log:
        as_of = log.choose_as_of(None)
        life = fit_lifecycle(DailyTable(log.con, as_of), load_scheme("retail"), 90)
    moves = movement(life, as_of, has_amounts=True)

    def written(language: Language) -> str:
        display = Display(language)
        figures = movement_figures(moves, life.scheme, life.merged, display)
        summary = replace(summary_of_a_shop(), next_steps=(NEXT_STEP,))
        return render_report(summary, scores_of_a_shop(), figures, display)

    return written


def violations(page: Page, axe: str) -> list[str]:
    """Return what axe finds on a page that is open, a line for each rule."""
    page.evaluate(axe)
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in result["violations"]]


@pytest.mark.parametrize(("language", "scheme", "width"), CASES)
def test_axe_finds_nothing_on_any_page(
    browser: Browser,
    address: str,
    locked_address: str,
    axe: str,
    report: Callable[[Language], str],
    tmp_path: Path,
    language: Language,
    scheme: str,
    width: int,
) -> None:
    file = tmp_path / "report.html"
    file.write_text(report(language), encoding="utf-8")
    context = browser.new_context(
        base_url=address,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 800},
        extra_http_headers={"Accept-Language": language},
        bypass_csp=True,
    )
    page = context.new_page()
    sign_in = f"{locked_address}/sign-in?next=/plans"
    for place in (*PLACES, "/trust", "/docs", sign_in, file.as_uri()):
        page.goto(place)
        assert violations(page, axe) == [], place
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place
    context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_is_no_wider_than_a_phone(
    browser: Browser, report: Callable[[Language], str], tmp_path: Path, language: Language
) -> None:
    file = tmp_path / "report.html"
    file.write_text(report(language), encoding="utf-8")
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_prints_on_few_pages(
    browser: Browser, report: Callable[[Language], str], tmp_path: Path, language: Language
) -> None:
    file = tmp_path / "report.html"
    file.write_text(report(language), encoding="utf-8")
    page = browser.new_page()
    page.goto(file.as_uri())
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    assert 1 < len(re.findall(rb"/Type\s*/Page\b", printed)) <= MOST_PRINTED_PAGES
    page.close()
