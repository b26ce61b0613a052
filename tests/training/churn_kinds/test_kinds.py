"""Each kind of churn has the whole face, and says everything that reports ask of it."""

from __future__ import annotations

import tomllib
from dataclasses import fields

import pytest

from stagecast.serving.languages.texts import FOLDER
from stagecast.training.churn_kinds import KINDS, ChurnKind, kind_of
from stagecast.training.churn_kinds.kind import Wording
from stagecast.training.config import CHURN, Churn

EACH = pytest.mark.parametrize("name", CHURN)


def test_a_configuration_can_ask_for_each_kind_and_for_no_other() -> None:
    assert tuple(KINDS) == CHURN
    assert [kind.name for kind in KINDS.values()] == list(CHURN)


@EACH
def test_a_kind_has_every_method_of_the_face(name: Churn) -> None:
    face = [member for member in vars(ChurnKind) if not member.startswith("_")]
    assert len(face) > 10
    assert [member for member in face if not hasattr(kind_of(name), member)] == []


@EACH
def test_a_kind_says_in_words_whatever_reports_and_pages_ask(name: Churn) -> None:
    wording = kind_of(name).wording
    texts = {field.name: getattr(wording, field.name) for field in fields(Wording)}
    assert all(texts[key] for key in texts if key != "eligible")  # all buyers are, under inactivity
    assert {"blend", "rule"} <= set(wording.methods)
    assert "{date}" in wording.none_eligible
    notes = tomllib.loads((FOLDER / "locales" / "en.toml").read_text("utf-8"))["customer"]
    assert "{days}" in notes["churn_notes"][name]


@EACH
def test_baselines_have_a_name_that_people_read(name: Churn) -> None:
    assert all(kind_of(name).baseline_labels.values())
