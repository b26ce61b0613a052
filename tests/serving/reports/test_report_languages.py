"""The report of a run in three languages: the parts of the pages, and no English left in it."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest

from stagecast.features.stages.scheme_files import scheme_to_json
from stagecast.serving.commands.options import report_language
from stagecast.serving.languages.display import LANGUAGES, Display, Language
from stagecast.serving.languages.sentences import in_language
from stagecast.serving.languages.texts import label_of
from stagecast.serving.reports.rendering import sentence
from stagecast.serving.reports.run_report import render_report
from stagecast.serving.reports.value_grid import grid_cells
from stagecast.serving.store.overview import overview
from stagecast.serving.store.store import Store
from stagecast.training.baselines import buyers, contracts
from stagecast.training.churn_kinds import cancellation, inactivity
from stagecast.training.inactivity.simple import LABELS
from stagecast.training.judging.evaluation_result import ChurnFigures
from stagecast.training.train import _other_method
from tests.serving import published
from tests.serving.pages.test_languages import LATIN_COMMA, NAMES, Said
from tests.serving.reports.test_run_report import made_evaluation, made_scores, made_summary

OTHERS: tuple[Language, ...] = ("ru", "fa")
MODELS = {"BG", "NBD", "BTYD", "LightGBM", "Gamma-Gamma", "CDNOW", "lifetimes", "Pareto", "MBG"}
GRADE = (
    "Better than every baseline: the log loss on the 4,009 active is 1.6% below that of logistic "
    "regression on RFM, the best of the others, beyond chance."
)
NOTES = (
    "No silence in this log is long enough to call a customer lost (chance of an order within a "
    "year below 5 %; upper 95 % bound, from at least 30 silences): sleeping and lost cannot be "
    "told apart yet.",
    inactivity.SIMPLE["recency"] + " (method: blend).",
)
FINDINGS = (
    "2011-03-05: 1,204 events of 380 customers, usual are 420 of 150: a bulk import, or a sale?",
    "no events: 2010-12-24 to 2011-01-03 (11 days): about 3,120 events were to be expected",
    "customer 14911 has 5,903 events, 99 % of the customers at most 640: a till, a test account "
    "or an agency?",
)


def summary_of_a_shop():
    """Return a summary whose sentences are those that a run makes."""
    models = tuple(
        ChurnFigures(name, buyers.LABELS.get(name, "stagecast (blend)"), 0.3, 0.8, 0.09, 0.01, 1.1)
        for name in ("stagecast", *buyers.QUICK)
    )
    evaluation = made_evaluation(models=models, grade_sentence=GRADE)
    spend = tuple(
        replace(row, label=buyers.SPEND_LABELS.get(row.name, row.label))
        for row in evaluation.spend or ()
    )
    log = made_summary().log | {
        "rejected_by_reason": {"missing_customer": 4, "missing_time": 2},
        "warnings": [],
    }
    scheme = replace(made_summary().scheme, plays=tuple(scheme_to_json(published.retail())["play"]))
    return made_summary(
        title="stagecast report",
        scheme=scheme,
        model_version="4f0c2",
        method_note=inactivity.WORDING.methods["blend"],
        evaluation=replace(evaluation, spend=spend),
        notes=NOTES,
        findings=FINDINGS,
        log=log,
        next_steps=(),
    )


def scores_of_a_shop():
    """Return scores whose reasons and actions are those that a run has."""
    action = {stage.id: stage.action["en"] for stage in published.retail().stages}
    rows = made_scores(400).to_pylist()
    for row in rows:
        row["action"], row["rfm_segment"] = action[row["stage"]], "loyal customers"
        row["play"] = "loyal_going_quiet" if row["stage"] == "loyal" else None
        row["reasons"] = [
            {**reason, "code": f"{reason['feature']}.own", "label": None, "direction": "raises"}
            for reason in row["reasons"]
            if reason["feature"] != "spend_90d"
        ]
    return published.table(rows)


@pytest.mark.parametrize("language", OTHERS)
def test_no_english_is_left_in_a_report(language: Language) -> None:
    page = render_report(summary_of_a_shop(), scores_of_a_shop(), None, Display(language))
    direction = "rtl" if language == "fa" else "ltr"
    assert f'<html lang="{language}" dir="{direction}"' in page
    assert '<bdi lang="en"' not in page
    words = Said(page).english({"4f0c2", "overdue_ratio"})
    assert words - MODELS - NAMES == set()
    if language == "fa":
        assert LATIN_COMMA.findall(unescape(page)) == []


def test_each_language_says_the_same_numbers() -> None:
    pages = [
        render_report(summary_of_a_shop(), scores_of_a_shop(), None, Display(language))
        for language in LANGUAGES
    ]
    persian = str.maketrans("۰۱۲۳۴۵۶۷۸۹", "0123456789")
    counts = [page.translate(persian).count("4,009") for page in pages]
    assert counts[0] == 1
    assert "4\u00a0009" in pages[1]
    assert "۴٬۰۰۹" in pages[2]
    assert len({page.count("<tr") for page in pages}) == 1


@pytest.mark.parametrize("language", OTHERS)
def test_every_note_that_a_training_can_make_is_said(language: Language) -> None:
    methods = (*inactivity.WORDING.methods.values(), *cancellation.WORDING.methods.values())
    alone = (f"{label} alone: better than the pool on what it had not seen" for label in
             LABELS.values())  # fmt: skip
    notes = (f"{note} (method: blend)." for note in inactivity.SIMPLE.values())
    for note in (*methods, *alone, *notes, inactivity.FEW_CUSTOMERS):
        said = in_language(sentence(note), Display(language))
        assert 'lang="en"' not in said, note
        assert sentence(note).split(" ")[0] not in said.split(" "), note


@pytest.mark.parametrize("language", OTHERS)
def test_the_note_on_stages_by_orders_is_said_with_its_scheme_and_number(
    language: Language,
) -> None:
    note = (
        "The stages of the scheme retail go by orders, not by contract: of the customers whose "
        "contract was cancelled, 1,870 stand on a stage of active customers, with its action. "
        "--stages membership goes by contract."
    )
    said = in_language(note, Display(language))
    assert 'lang="en"' not in said
    assert " retail " in said
    assert "--stages membership" in said
    assert Display(language).number(1870) in said


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize(
    "where",
    [
        "of those whose contract is open, 1,870 stand on a stage of lapsed customers, with its "
        "action.",
        "of the customers whose contract was cancelled, 12 stand on a stage of active customers, "
        "with its action. Of those whose contract is open, 1,870 stand on a stage of lapsed "
        "customers, with its action.",
    ],
)
def test_the_note_on_open_contracts_on_stages_of_the_lapsed_is_said(
    where: str, language: Language
) -> None:
    start = "The stages of the scheme retail go by orders, not by contract: "
    said = in_language(f"{start}{where} --stages membership goes by contract.", Display(language))
    assert 'lang="en"' not in said
    assert "--stages membership" in said
    assert Display(language).number(1870) in said


@pytest.mark.parametrize("language", OTHERS)
def test_the_note_on_the_method_that_was_tested_is_said(language: Language) -> None:
    (note,) = _other_method(of_method("blend"), of_method("btyd"), made_evaluation())
    said = in_language(note, Display(language))
    assert 'lang="en"' not in said
    assert "btyd" in said


def of_method(method: str) -> Any:
    return SimpleNamespace(
        config=SimpleNamespace(churn="inactivity"), churn=SimpleNamespace(method=method)
    )


def test_a_test_of_another_method_than_that_of_the_model_is_told_and_of_the_same_is_not() -> None:
    (note,) = _other_method(of_method("blend"), of_method("btyd"), made_evaluation())
    assert note.startswith("The test is of a training before 1998-04-02, whose method was btyd;")
    assert note.endswith("is blend.")
    assert _other_method(of_method("blend"), of_method("blend"), made_evaluation()) == []


@pytest.mark.parametrize("language", OTHERS)
def test_every_method_that_a_training_compares_has_a_name(language: Language) -> None:
    quick = [buyers.LABELS[name] for name in buyers.QUICK if name != "bg_nbd"]
    labels = (*quick, *buyers.SPEND_LABELS.values(), *contracts.LABELS.values(), "Markov chain")
    for label in labels:
        assert label_of(label, language) != label
    assert label_of("stagecast (blend)", language) != "stagecast (blend)"


def test_the_grid_of_a_report_is_that_of_the_first_page(tmp_path) -> None:
    scores = published.scores(150)
    store = Store.open(f"sqlite:///{tmp_path / 'stagecast.db'}")
    published.publish(store, scores)
    run = store.current_run()
    assert run is not None
    kept = {(c["band"], c["value_class"]): c for c in overview(store.engine, run)["grid"]}
    ours = {(c["band"], c["value_class"]): c for c in grid_cells(scores)}
    assert {place: cell["customers"] for place, cell in ours.items()} == {
        place: cell["customers"] for place, cell in kept.items()
    }
    for place, cell in ours.items():
        assert cell["value_at_risk"] == pytest.approx(kept[place]["value_at_risk"])
    store.close()


def test_the_languages_of_the_command_are_those_of_the_pages() -> None:
    def command() -> None: ...

    option = report_language(command).__click_params__[0]
    assert tuple(option.type.choices) == LANGUAGES
