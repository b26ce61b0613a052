"""Facts that documents state are those of the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from stagecast.features.stages.plays import NUMBERS, TEXTS, play_from_toml
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.training.reference.rfm import SEGMENTS
from stagecast.training.reference.rfm_settings import rfm_from_toml

DOCS = Path(__file__).parents[1] / "docs"


def section(document: str, title: str) -> str:
    """Return the text under a heading of a document, up to the next heading."""
    text = (DOCS / document).read_text("utf-8")
    (body,) = re.findall(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    return str(body)


def rows(text: str) -> list[list[str]]:
    """Return the cells of the rows of a table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_segments_are_those_of_the_code() -> None:
    stated = [(name, f"R {r}, F {f}") for name, r, f in rows(section("scores.md", "RFM"))]
    assert stated == [(segment.name, segment.definition) for segment in SEGMENTS]


def test_the_example_of_own_limits_can_be_used() -> None:
    (example,) = re.findall(
        r"^```text\n(\[rfm\].*?)^```$",
        (DOCS / "scores.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    settings = rfm_from_toml(tomllib.loads(example)["rfm"], "docs/scores.md")
    assert (settings.bins, settings.orders, len(settings.recency_days)) == (4, (2, 3, 6), 3)


def test_the_plays_and_the_columns_that_they_read_are_those_of_the_code() -> None:
    text = section("stages.md", "Plays")
    named = set(re.findall(r"`([a-z_]+)`", text))
    assert {*NUMBERS, *TEXTS} <= named
    assert {play.id for play in load_scheme("retail").plays} <= named
    (example,) = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (table,) = tomllib.loads(example)["play"]
    assert play_from_toml(table, "docs/stages.md").id == "loyal_going_quiet"
