"""A plan of the Python API is that of the store, and its read-out a count of what came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import stagecast as sc
from stagecast.features.errors import DataRefusedError, NotEnoughDataError, UsageError
from stagecast.serving.store.store import Store
from stagecast.serving.targeting.plan.book import PlanBook
from stagecast.serving.targeting.plan.terms import Audience, Costs, Rules, Terms
from tests.serving import published

SCORES = published.scores(400, extra=published.HOSTILE_IDS)
WHOM: dict[str, tuple[Terms, dict[str, Any]]] = {
    "everybody": (
        Terms(costs=Costs(contact=0.2), contacts=40, holdout=0.25),
        {"contact_cost": 0.2, "contacts": 40, "holdout": 0.25},
    ),
    "a budget with offers": (
        Terms(costs=Costs(contact=0.5, offer=2.0), budget=60.0, window_days=30, seed=3),
        {"contact_cost": 0.5, "offer_cost": 2.0, "budget": 60.0, "window": "30d", "seed": 3},
    ),
    "some of them": (
        Terms(
            Audience(stages=("loyal", "at_risk"), bands=("high",), min_value=5.0),
            rules=Rules(min_gain=0.5),
        ),
        {"stage": ["loyal", "at_risk"], "band": "high", "min_value": 5.0, "min_gain": 0.5},
    ),
    "those who are named": (
        Terms(Audience(ids=("c0001", "c0002", *published.HOSTILE_IDS)), standing=True, holdout=0.5),
        {"ids": ["c0001", "c0002", *published.HOSTILE_IDS], "standing": True, "holdout": 0.5},
    ),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = published.open_store(tmp_path_factory.mktemp("store"))
    published.publish(opened, SCORES)
    yield opened
    opened.close()


def a_plan(**terms: Any) -> sc.Plan:
    return sc.plan(SCORES.to_pandas(), **({"contacts": 60, "holdout": 0.3} | terms))


@pytest.mark.parametrize("whom", WHOM)
@pytest.mark.parametrize("as_index", [True, False])
def test_a_plan_is_that_of_the_store(store: Store, whom: str, as_index: bool) -> None:
    terms, keywords = WHOM[whom]
    run = store.current_run()
    assert run is not None
    theirs = PlanBook(store.engine).propose(run, terms)
    frame = SCORES.to_pandas()
    ours = sc.plan(frame.set_index("customer_id") if as_index else frame[::-1], **keywords)
    members = theirs.members
    assert len(ours)
    assert [row["customer_id"] for row in ours.rows] == list(members.customers.customer_id)
    assert [row["arm"] == "holdout" for row in ours.rows] == members.held_out.tolist()
    assert ours.forecast == theirs.forecast
    assert ours.contacts["gain"].tolist() == members.gain[~members.held_out].tolist()
    assert set(ours.contacts.index).isdisjoint(ours.holdout.index)
    assert ours.summary["gain"] == pytest.approx(ours.contacts["gain"].sum())
    assert ours.curve["gain"].max() == theirs.forecast.curve.best.gain


def test_who_may_not_be_contacted_is_left_out() -> None:
    first = a_plan().contacts.index[:5]
    without = a_plan(do_not_contact=first)
    assert not set(first) & {*without.contacts.index, *without.holdout.index}
    assert without.summary["left_out_do_not_contact"] == 5


def later_orders(plan: sc.Plan) -> pd.DataFrame:
    """Return orders of a window in which every contacted customer buys, and one in three others."""
    days = pd.Timestamp(plan.starts_at) + pd.to_timedelta([-40, 10], "D")
    start, during = (day.tz_convert(None) for day in days)
    rows = [(id_, start, 1.0) for id_ in [*plan.contacts.index, *plan.holdout.index]]
    rows += [(id_, during, 30.0) for id_ in plan.contacts.index]
    rows += [(id_, during, 30.0) for id_ in plan.holdout.index[::3]]
    end = pd.Timestamp(plan.ends_at).tz_convert(None)
    rows.append(("somebody else", end, 5.0))
    return pd.DataFrame(rows, columns=["customer_id", "timestamp", "amount"])


def test_a_readout_of_a_log_is_that_of_its_count() -> None:
    plan = a_plan()
    orders = later_orders(plan)
    with sc.read_events(orders) as log:
        of_log = plan.readout(log)
        with pytest.raises(NotEnoughDataError, match="read out later"):
            plan.readout(log, until=plan.starts_at + pd.Timedelta("1d"))
    assert of_log.verdict == "Proven"
    contacted, held_out = len(plan.contacts), len(plan.holdout)
    # all who were contacted against one in three of the others
    expected = contacted * (1 - np.ceil(held_out / 3) / held_out)
    low, high = of_log.summary.loc["extra buyers", ["low", "high"]]
    assert low < expected < high
    window = orders[orders["amount"] == 30.0]
    counted = window.groupby("customer_id")["amount"].agg(orders="size", spend="sum")
    of_count = plan.readout(counted)
    assert of_count.summary.loc["extra buyers", "estimate"] == pytest.approx(
        of_log.summary.loc["extra buyers", "estimate"]
    )
    assert repr(of_log).startswith("Proven. ")
    assert "extra money" in of_log._repr_html_()


def test_a_readout_of_contracts_speaks_of_who_is_kept_or_back() -> None:
    plan = a_plan()
    counted = pd.DataFrame({"customer_id": [row["customer_id"] for row in plan.rows]})
    counted["orders"] = [k % 2 for k in range(len(counted))]
    for states, words in (
        (("active", "active"), "customers kept"),
        (("lapsed", "lapsed"), "customers back"),
        (("active", "lapsed"), "customers kept or back"),
    ):
        rows = [{**row, "state": states[k % 2]} for k, row in enumerate(plan.rows)]
        read = replace(plan, churn="cancellation", rows=rows).readout(counted)
        assert words in read.summary.index
        assert "buyers" not in repr(read)
        assert "\ncontracts from " in repr(read)


def test_a_plan_outlives_its_session(tmp_path: Path) -> None:
    plan = a_plan()
    file = plan.save(tmp_path / "plan.json")
    loaded = sc.Plan.load(file)
    assert loaded.digest == plan.digest
    pd.testing.assert_frame_equal(loaded.holdout, plan.holdout)
    counted = pd.DataFrame({"orders": 1.0, "spend": 30.0}, index=plan.contacts.index)
    assert repr(loaded.readout(counted)) == repr(plan.readout(counted))
    with pytest.raises(UsageError, match="cannot be drawn a second time"):
        plan.save(file)
    with pytest.raises(UsageError, match="has the list alone"):
        _ = loaded.curve
    document = json.loads(file.read_text("utf-8"))
    first = document["rows"][0]
    first["arm"] = "contact" if first["arm"] == "holdout" else "holdout"
    file.write_text(json.dumps(document), "utf-8")
    with pytest.raises(DataRefusedError, match="not the one that was drawn"):
        sc.Plan.load(file)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"stage": "loyl"}, "Did you mean 'loyal'"),
        ({"contact_cost": 5.0, "budget": 1.0}, "does not pay one contact"),
        ({"window": "100d"}, "fit with a longer horizon"),
        ({"window": 30}, "window"),
        ({"start": "1999-01-01"}, "choose a start within it"),
        ({"scheme": "clm5"}, "name the scheme that the model was fitted with"),
    ],
)
def test_terms_that_cannot_be_met_are_refused(terms: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        a_plan(**terms)
    assert "--" not in str(raised.value)


def test_what_is_no_score_is_refused() -> None:
    frame = SCORES.to_pandas()
    for wrong, message in (
        (frame.drop(columns="clv"), "no column 'clv'"),
        (pd.concat([frame, frame[:1]]), "stands twice"),
        (frame[:0], "no customer"),
        (frame.assign(horizon_days=range(len(frame))), "different values of horizon_days"),
        ([1], r"scores = \[1\] cannot be used; give a table of scores"),
    ):
        with pytest.raises(UsageError, match=message):
            sc.plan(wrong)


def numbered_scores() -> pd.DataFrame:
    """Return the scores of customers whose ids are whole numbers, as a log has them."""
    table = published.scores(60).to_pandas()
    table["customer_id"] = [str(1310 + k) for k in range(len(table))]
    return table


@pytest.mark.parametrize(
    "given",
    [
        lambda ids: ids,
        lambda ids: [int(name) for name in ids],
        lambda ids: np.array(ids, dtype=np.int64),
        lambda ids: pd.Series([float(name) for name in ids]),
        lambda ids: pd.DataFrame({"customer_id": ids, "why": "asked to"}),
        lambda ids: pd.DataFrame({"why": "asked to"}, index=pd.Index(ids, name="customer_id")),
        lambda ids: pl.DataFrame({"customer_id": ids}),
        lambda ids: pa.table({"customer_id": ids}),
    ],
)
def test_who_asked_not_to_be_contacted_is_left_out_however_ids_are_given(given: Any) -> None:
    scores = numbered_scores()
    listed = sc.plan(scores, holdout=0.2)
    ids = [*listed.contacts.index[:5], listed.holdout.index[0]]
    plan = sc.plan(scores, holdout=0.2, do_not_contact=given(ids))
    assert not {*plan.contacts.index, *plan.holdout.index}.intersection(ids)
    only = sc.plan(scores, holdout=0.0, ids=given(ids))
    assert set(only.contacts.index) == set(ids)


def test_one_id_is_one_customer_and_not_its_letters() -> None:
    scores = numbered_scores()
    name = sc.plan(scores, holdout=0.0).contacts.index[0]
    assert name not in sc.plan(scores, holdout=0.0, do_not_contact=name).contacts.index
    for one in (name, int(name), float(name)):
        assert list(sc.plan(scores, holdout=0.0, ids=one).contacts.index) == [name]


def test_ids_that_are_no_customers_are_told_in_the_notes() -> None:
    scores = numbered_scores()
    scores["customer_id"] = "0" + scores["customer_id"]
    names = sc.plan(scores, holdout=0.0).contacts.index[:3]
    with pytest.warns(UserWarning, match="exclude nobody"):  # pandas lost the zeros of one
        plan = sc.plan(scores, do_not_contact=[names[0], int(names[1])])
    assert plan.notes[0] == (
        "1 of the 2 ids of do_not_contact are no customers of the scores, so that they exclude "
        f"nobody: '{int(names[1])}'; an id of theirs is '{scores['customer_id'].min()}'"
    )
    unknown = [f"z{n}" for n in range(7)]
    with pytest.warns(UserWarning, match="are left out"):
        plan = sc.plan(scores, ids=[*names, *unknown], holdout=0.0)
    assert set(plan.contacts.index) == set(names)
    assert plan.notes[0].startswith("7 of the 10 ids of ids are no customers of the scores, so")
    assert "'z0', 'z1', 'z2', 'z3', 'z4', ...; an id" in plan.notes[0]
    assert not [note for note in sc.plan(scores, ids=names, holdout=0).notes if "no c" in note]


def test_outcomes_that_contradict_themselves_are_refused_by_customer() -> None:
    plan = a_plan()
    name = plan.contacts.index[0]
    counted = pd.DataFrame({"orders": 1.0, "spend": 30.0}, index=plan.contacts.index)
    for change, message in (
        ({"orders": 0.0}, f"customer '{name}' has no order and spend 30; give the orders"),
        ({"orders": True}, f"orders of customer '{name}' is True; give a number"),
        ({"spend": np.True_}, f"spend of customer '{name}' is .*True.*; give a number"),
    ):
        table = counted.astype(object)
        for column, value in change.items():
            table.loc[name, column] = value
        with pytest.raises(DataRefusedError, match=message):
            plan.readout(table)
    counted.loc[name] = [0.0, -5.0]  # money paid back
    assert plan.readout(counted).verdict


@pytest.mark.parametrize("column", ["clv", "value_gone", "p_return", "p_inactive"])
def test_scores_that_are_no_numbers_are_named(column: str) -> None:
    scores = numbered_scores()
    scores[column] = scores[column].astype(object)
    scores.loc[3, column] = "x"
    name = scores["customer_id"].iloc[3]
    with pytest.raises(UsageError, match=f"{column} of customer '{name}' of the scores is 'x'"):
        sc.plan(scores)


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("p_inactive", 3.0, "is 3.0, which is no probability from 0 to 1"),
        ("p_return", -0.1, "is -0.1, which is no probability from 0 to 1"),
        ("clv", float("inf"), "is inf, which is no finite number"),
    ],
)
def test_scores_outside_of_their_range_are_named_by_the_id(
    column: str, value: float, what: str
) -> None:
    scores = numbered_scores()
    scores.loc[3, column] = value
    with pytest.raises(UsageError, match=f"{column} of customer '1313' of the scores {what}; give"):
        sc.plan(scores)


def test_ids_of_nobody_are_named() -> None:
    scores = numbered_scores()
    with pytest.raises(UsageError, match="none of the 2 ids of ids is a customer of the scores"):
        sc.plan(scores, ids=["zzz", "yyy"])
    with pytest.warns(UserWarning, match=r"none of the 1 ids of do_not_contact .*: 'zzz'"):
        sc.plan(scores, do_not_contact=["zzz"])
    for wrong, message in (
        ([1310.5], "the number 1310.5"),
        ([None], "has a null"),
        ([float("nan")], r"has a null \(nan\)"),
        (pd.DataFrame({"id": ["1310"]}), "a table without the column 'customer_id'"),
        (b"1310", "do_not_contact = b'1310' cannot be used; give a list of ids"),
    ):
        with pytest.raises(UsageError, match=message):
            sc.plan(scores, do_not_contact=wrong)  # type: ignore[arg-type]
