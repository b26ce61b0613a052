"""Takes the pictures of the README from a server that runs.

stagecast demo && stagecast serve
python -m tests.browser.screenshots http://127.0.0.1:8000 docs/images
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from tests.browser.conftest import SWITCHES, chromium

WIDTH, HEIGHT, COLOURS = 1180, 800, 64
MARGIN = 14
"""Pixels left above what is at the top of a picture."""
PLAN = "/plans/new?play=loyal_going_quiet&contacts=300&contact_cost=1&holdout_percent=20"
CUSTOMER = "/customers/00485"
"""A loyal customer of the demo who is overdue."""


@dataclass(frozen=True)
class Picture:
    """A picture: the name of its file, the page, its language, what is at its top, its height."""

    name: str
    path: str
    language: str = "en"
    top: str = "body"
    height: int = HEIGHT


PICTURES = (
    Picture("home.png", "/"),
    Picture("customers.png", "/customers?play=loyal_going_quiet", top=".above"),
    Picture("customer.png", CUSTOMER, top="section:has(.steps)", height=1020),
    Picture("plan.png", PLAN, top="section:has(.tiles)"),
    Picture("customers-ru.png", "/customers", "ru", ".above"),
    Picture("home-fa.png", "/", "fa"),
)


def take(address: str, folder: Path) -> None:
    """Take all pictures of a server into a folder that exists, as PNG of few colours.

    Parameters
    ----------
    address
        Of the server, without a path.
    folder
        Where the files are written.
    """
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(SWITCHES))
        for picture in PICTURES:
            context = browser.new_context(
                base_url=address,
                viewport={"width": WIDTH, "height": picture.height},
                locale=picture.language,
                extra_http_headers={"Accept-Language": picture.language},
            )
            page = context.new_page()
            page.goto(picture.path)
            top = page.locator(picture.top).first
            top.evaluate(f"e => {{ e.scrollIntoView(); scrollBy(0, -{MARGIN}); }}")
            page.screenshot(path=folder / picture.name)
            context.close()
            with Image.open(folder / picture.name) as drawn:
                small = drawn.convert("RGB").quantize(COLOURS)
            small.save(folder / picture.name, optimize=True)
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    take(asked.address, asked.folder)
