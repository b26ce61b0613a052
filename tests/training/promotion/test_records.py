"""Records of promotions: what took effect, and where a rollback leads."""

from __future__ import annotations

import json

from stagecast.training.promotion.records import (
    LOOK,
    MAX_CHARACTERS,
    PROMOTION,
    Kind,
    Look,
    Record,
    carried_out,
    looks_of,
    next_tag,
    previous_champion,
    records_of,
)


def record(kind: Kind, from_: str | None, to: str) -> Record:
    return Record(kind, to, from_, "ann", "2024-01-01T00:00:00Z", "because", {})


def test_a_record_whose_move_did_not_happen_does_not_count() -> None:
    first, lost, second = (
        record("promote", None, "1"),
        record("promote", "1", "2"),  # killed before the alias was moved
        record("promote", "1", "3"),
    )
    assert carried_out([first, lost, second], "3") == [first, second]
    assert carried_out([first, lost], "1") == [first]
    assert carried_out([], None) == []


def test_each_rollback_goes_one_champion_further_back() -> None:
    moves = [record("promote", None, "1"), record("promote", "1", "2"), record("promote", "2", "3")]
    assert previous_champion(moves, "3") == "2"
    moves.append(record("rollback", "3", "2"))
    assert previous_champion(moves, "2") == "1"
    moves.append(record("rollback", "2", "1"))
    assert previous_champion(moves, "1") is None
    moves.append(record("promote", "1", "4"))
    assert previous_champion(moves, "4") == "1"


def test_records_survive_as_tags_and_what_is_not_ours_is_left_alone() -> None:
    long = Record("promote", "2", "1", "ann", "2024-01-01", "x" * 9_000, {"a": [1.0] * 4_000})
    assert len(long.to_text()) <= MAX_CHARACTERS
    assert json.loads(long.to_text())["to"] == "2"
    look = Look("1", "2", "2024-01-01", "2024-01-02", False, "no")
    tags = {next_tag({}, PROMOTION): record("promote", None, "1").to_text(), "other": "tag"}
    tags[next_tag(tags, PROMOTION)] = "no JSON"
    tags[next_tag(tags, LOOK)] = look.to_text()
    assert records_of(tags) == [record("promote", None, "1")]
    assert looks_of(tags) == [look]
    assert next_tag(tags, PROMOTION) == "stagecast.promotion.000003"


def test_a_version_that_was_recorded_as_a_number_is_its_text() -> None:
    number = json.dumps({**vars(record("promote", "1", "2")), "to": 2, "from_": 1})
    assert records_of({next_tag({}, PROMOTION): number}) == [record("promote", "1", "2")]
