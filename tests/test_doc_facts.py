"""Facts that documents state are those of the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from stagecast.features.stages.plays import NUMBERS, TEXTS, play_from_toml
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.serving.http.bodies import CUSTOMERS_MAX
from stagecast.serving.http.content_types import BODY_METHODS
from stagecast.serving.http.routes.customers import erase_customer
from stagecast.serving.scoring.score_schema import REASON
from stagecast.serving.settings import Settings
from stagecast.training.bundle import FORMAT
from stagecast.training.config import TrainConfig
from stagecast.training.judging.draws import DRAWS, FEWEST_DRAWS
from stagecast.training.reasons.explanation import MOST_LOWERING, MOST_RAISING
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


def only(pattern: str, document: str) -> tuple[str, ...]:
    """Return the groups of a pattern that occurs once in a document."""
    matches = re.findall(pattern, (DOCS / document).read_text("utf-8"))
    assert len(matches) == 1, f"{document}: {pattern} {len(matches)} times"
    return matches[0] if isinstance(matches[0], tuple) else (matches[0],)


def test_the_format_of_bundles_is_that_of_the_code() -> None:
    assert only(r"The format of bundles is (\d+)", "operating.md") == (str(FORMAT),)


def test_the_draws_of_a_backtest_are_those_of_the_code() -> None:
    stated = only(r"Customers are resampled (\d+) to (\d+) times", "method.md")
    assert stated == (str(FEWEST_DRAWS), str(DRAWS))


def test_the_most_past_dates_are_those_of_the_code() -> None:
    words = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    (word,) = only(r"up to (\w+) past dates and the as_of", "operating.md")
    assert words.index(word) + 1 == TrainConfig.max_dates


def test_the_customers_of_a_request_are_those_of_the_code() -> None:
    (most,) = only(r"scores of 1 to ([\d,]+) customers from their raw events", "operating.md")
    assert int(most.replace(",", "")) == CUSTOMERS_MAX


def test_the_defaults_of_the_server_are_those_of_the_code() -> None:
    table = {row[0]: row[1] for row in rows(section("operating.md", "Serving"))}
    fields = Settings.model_fields
    assert table["`--port`, `STAGECAST_PORT`"] == str(fields["port"].default)
    assert table["`--host`, `STAGECAST_HOST`"] == f"`{fields['host'].default}`"
    bytes_max = fields["max_body_bytes"].default
    assert table["`STAGECAST_MAX_BODY_BYTES`"] == f"{bytes_max // 1024**2} MiB"


def test_only_methods_with_a_body_need_a_content_type() -> None:
    erases = next(row[1] for row in rows(section("operating.md", "Serving")) if "DELETE" in row[0])
    assert "DELETE" not in BODY_METHODS
    assert "no content type" in erases
    assert "needs the header" not in (erase_customer.__doc__ or "")


def test_the_bands_are_those_of_the_code() -> None:
    stated = only(r"`low` below (\d)/(\d), `medium` below (\d)/(\d), else `high`", "scores.md")
    low, medium = (int(stated[k]) / int(stated[k + 1]) for k in (0, 2))
    assert (low, medium) == (TrainConfig.medium_risk, TrainConfig.high_risk)


def test_the_most_reasons_are_those_of_the_code() -> None:
    words = {"two": 2, "three": 3}
    raising, lowering = only(
        r"up to (\w+) reasons that raise the risk, then up to (\w+) that lower it", "scores.md"
    )
    assert (words[raising], words[lowering]) == (MOST_RAISING, MOST_LOWERING)


def test_the_fields_of_a_reason_are_those_of_the_code() -> None:
    stated = [row[0].strip("`") for row in rows(section("scores.md", "Reasons"))]
    assert stated == [field.name for field in REASON]
