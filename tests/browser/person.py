"""Somebody at a browser, whose clicks, typing and pages are counted, who does a marketer's jobs.

python -m tests.browser.person http://127.0.0.1:8000 PLAY     the jobs on a server that runs
"""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


@dataclass
class Person:
    """Somebody who knows no address but that of Home.

    Parameters
    ----------
    page
        The browser's page.
    clicks, typed
        Clicks and fields filled in so far.
    pages
        Paths of the pages so far.
    """

    page: Page
    clicks: int = 0
    typed: int = 0
    pages: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Open Home."""
        self.page.goto("/")
        self._note()

    def click(self, role: str, name: str | re.Pattern[str], exact: bool = False) -> None:
        """Click what has this name, the first where there are several."""
        self.press(self.page.get_by_role(role, name=name, exact=exact).first)  # type: ignore[arg-type]

    def press(self, what: Locator) -> None:
        """Click something, and wait for the page that it leads to."""
        what.click()
        self.clicks += 1
        self.page.wait_for_load_state()
        self._note()

    def fill(self, label: str, text: str) -> None:
        """Type into a field."""
        self.page.get_by_label(label, exact=True).fill(text)
        self.typed += 1

    def download(self, words: str, path: Path) -> None:
        """Click a link that is a file, and keep the file."""
        with self.page.expect_download() as started:
            self.page.get_by_role("link", name=words).first.click()
        self.clicks += 1
        started.value.save_as(path)

    def reads(self, selector: str = "main") -> str:
        """Return what stands in a part of the page."""
        return self.page.locator(selector).first.inner_text()

    def _note(self) -> None:
        path = re.sub(r"^https?://[^/]+", "", self.page.url)
        if not self.pages or self.pages[-1] != path:
            self.pages.append(path)


def rank_and_download(person: Person, play: str, folder: Path, contacts: int = 500) -> None:
    """From Home to a plan for the customers of a play, and to its list without the hold-out."""
    person.start()
    person.click("link", play)
    person.click("link", re.compile("or plan for"))
    person.fill("At most so many contacts", str(contacts))
    person.fill("Left alone at random, per cent", "20")
    person.click("button", "Work it out")
    person.fill("Name", "quiet")
    person.press(person.page.get_by_role("button", name="Store as a draft"))
    person.page.wait_for_url("**/plans/quiet")
    person.press(person.page.get_by_role("button", name="Freeze: draw and fix the list"))
    person.page.get_by_role("link", name="Contacts (CSV)").wait_for()
    person.download("Contacts (CSV)", folder / "contacts.csv")


def explain_the_first(person: Person) -> str:
    """From Home to what is said of the customer with the most at risk."""
    person.start()
    person.click("link", "Customers", exact=True)
    person.press(person.page.locator(".ranked tbody th a").first)
    return person.reads()


def whom_not_to_contact(person: Person) -> str:
    """From Home to those whom the plays say to leave alone."""
    person.start()
    person.press(person.page.get_by_role("row", name=re.compile("no contact")).first.locator("a"))
    return person.reads()


def what_changed(person: Person) -> str:
    """From Home to the customers who are on another stage than a week ago."""
    person.start()
    person.click("link", re.compile("on another stage"))
    return person.reads()


def read_out(person: Person, plan: str) -> str:
    """From Home to what a plan brought."""
    person.start()
    person.click("link", "Results", exact=True)
    person.click("link", plan, exact=True)
    return person.reads()


def compare_channels(person: Person) -> str:
    """From Home to the channels."""
    person.start()
    person.click("link", "Channels", exact=True)
    return person.reads()


def _main(address: str, play: str) -> None:
    from tempfile import TemporaryDirectory

    from playwright.sync_api import Error, sync_playwright

    from tests.browser.conftest import SWITCHES, chromium

    with sync_playwright() as playwright, TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(SWITCHES))
        jobs = (
            ("rank and download", lambda p: rank_and_download(p, play, Path(folder))),
            ("explain the first", explain_the_first),
            ("whom not to contact", whom_not_to_contact),
            ("what changed", what_changed),
            ("compare channels", compare_channels),
        )
        for name, job in jobs:
            context = browser.new_context(base_url=address, accept_downloads=True)
            person, begun, stopped = Person(context.new_page()), time.monotonic(), ""
            try:
                job(person)
            except Error as error:
                stopped = f"; stopped: {str(error).splitlines()[0]}"
            seconds = time.monotonic() - begun
            sys.stdout.write(
                f"{name}: {seconds:.1f} s, {person.clicks} clicks, {person.typed} fields{stopped}\n"
            )
            context.close()
        browser.close()


if __name__ == "__main__":
    _main(*sys.argv[1:3])
