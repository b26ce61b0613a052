"""Schemes: each customer is on exactly one stage, and errors of a file are named."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.errors import UsageError
from stagecast.features.stages import scheme_files
from stagecast.features.stages.conditions import Clause, Condition
from stagecast.features.stages.scheme_files import (
    known_schemes,
    load_scheme,
    scheme_from_json,
    scheme_from_toml,
    scheme_to_json,
)
from stagecast.features.stages.unreached import unreached_sentences
from tests.profiles import examples

RETAIL = load_scheme("retail")
LIMITS = {
    "shop_gap_days": 30.0,
    "at_risk_ratio": 2.0,
    "sleeping_ratio": 4.0,
    "lost_after_days": 300.0,
    "loyal_orders": 3.0,
    "loyal_spend": 100.0,
}
NUMBERS = st.one_of(st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 100.0, 300.0]), st.floats(0, 1000))
CUSTOMER = st.fixed_dictionaries(
    {
        "orders": st.integers(0, 5).map(float),
        "spend": NUMBERS,
        "overdue_ratio": NUMBERS | st.just(math.nan),
        "recency_days": NUMBERS | st.just(math.nan),
        "return_ratio": NUMBERS | st.just(math.nan),
    }
)


def stage_by_hand(facts: dict[str, float]) -> str:
    """Return the stage by the rules of the scheme; comparisons with NaN are false in Python too."""
    if facts["orders"] == 0:
        return "prospect"
    if facts["overdue_ratio"] > 4:
        return "lost" if facts["recency_days"] > 300 else "sleeping"
    if facts["overdue_ratio"] > 2:
        return "at_risk"
    if facts["return_ratio"] > 4:
        return "reactivated"
    if facts["orders"] >= 3 and facts["spend"] >= 100:
        return "loyal"
    return "repeat" if facts["orders"] >= 2 else "new"


@settings(max_examples=examples(200), deadline=None)
@given(customers=st.lists(CUSTOMER, min_size=1, max_size=20))
def test_every_customer_is_on_the_first_stage_whose_rule_holds(
    customers: list[dict[str, float]],
) -> None:
    features = {name: np.array([facts[name] for facts in customers]) for name in customers[0]}
    stage = RETAIL.with_thresholds(LIMITS).assign(features)
    assert [RETAIL.ids[s] for s in stage] == [stage_by_hand(facts) for facts in customers]


def test_a_customer_on_whom_no_rule_holds_is_an_error() -> None:
    changed_stages = tuple(
        replace(s, rule=(Clause((Condition("orders", ">=", "9"),)),)) if s.id == "new" else s
        for s in RETAIL.stages
    )
    scheme = replace(RETAIL, stages=changed_stages).with_thresholds(LIMITS)
    features = {name: np.array([0.0, 1.0]) for name in scheme.features}
    with pytest.raises(UsageError, match=r"no rule holds for a customer with .*'orders': 1\.0"):
        scheme.assign(features)


def test_the_rule_that_held_is_explained_with_its_numbers() -> None:
    scheme = RETAIL.with_thresholds({**LIMITS, "at_risk_ratio": 1.94})
    features = {name: np.array([0.0, 2.705]) for name in scheme.features}
    sentences = scheme.explain(
        np.array([scheme.ids.index("prospect"), scheme.ids.index("at_risk")]), features
    )
    assert sentences.to_pylist() == [
        "orders 0 is 0",
        "overdue_ratio 2.71 is above 1.94 (at_risk_ratio)",
    ]
    lost = scheme.explain(np.full(2, scheme.ids.index("lost")), features)[1].as_py()
    assert lost == (
        "overdue_ratio 2.71 is above 4 (sleeping_ratio) and recency_days 2.71 is "
        "above 300 (lost_after_days)"
    )


def test_an_assumed_threshold_is_called_so_until_it_is_pinned() -> None:
    scheme = RETAIL.with_thresholds(LIMITS, assumed=("at_risk_ratio", "shop_gap_days"))
    at_risk = np.array([scheme.ids.index("at_risk")])
    features = {name: np.array([2.5]) for name in scheme.features}
    assert scheme.explain(at_risk, features)[0].as_py() == (
        "overdue_ratio 2.50 is above 2 (at_risk_ratio, assumed)"
    )
    assert scheme_from_json(json.loads(json.dumps(scheme_to_json(scheme)))) == scheme
    pinned = scheme.with_pins({"at_risk_ratio": 2.0})
    assert pinned.explain(at_risk, features)[0].as_py().endswith("above 2 (at_risk_ratio)")
    assert (
        RETAIL.with_pins({"shop_gap_days": 9.0})
        .with_thresholds(LIMITS, assumed=("shop_gap_days",))
        .assumed
        == frozenset()
    )


def test_a_scheme_says_which_stages_a_log_cannot_show() -> None:
    def said(name: str, assumed: tuple[str, ...] = (), **changed: float) -> list[str]:
        scheme = load_scheme(name).with_thresholds({**LIMITS, **changed}, assumed)
        return unreached_sentences(scheme)

    assert said("retail") == []
    assert said("clm5", sleeping_ratio=math.inf, lost_after_days=math.inf) == []
    nobody = said("retail", sleeping_ratio=math.inf, lost_after_days=math.inf)
    assert len(nobody) == 1
    assert nobody[0].endswith("nobody is on 'Sleeping', 'Lost', 'Reactivated'.")
    assert "sleeping and lost cannot be told apart" in said("retail", lost_after_days=math.inf)[0]
    assert "at_risk_ratio is assumed" in said("crm5", ("at_risk_ratio", "shop_gap_days"))[0]
    assert said("clm5", ("at_risk_ratio", "shop_gap_days")) == []


def test_nobody_is_on_a_stage_beyond_an_infinite_limit() -> None:
    limits = {**LIMITS, "sleeping_ratio": math.inf}
    features = {name: np.array([1e4]) for name in RETAIL.features}
    stage = RETAIL.with_thresholds(limits).assign(features)
    assert [RETAIL.ids[k] for k in stage] == ["at_risk"]


def test_an_infinite_limit_is_explained_as_never() -> None:
    clause = Clause.parse("recency_days <= lost_after_days", "here")
    sentences = clause.sentences({"recency_days": np.array([8.0])}, {"lost_after_days": math.inf})
    assert sentences.to_pylist() == ["recency_days 8 is at most never (lost_after_days)"]


def test_reachable_stages_include_those_reached_through_others() -> None:
    reachable = RETAIL.reachable()
    assert reachable["prospect"] == frozenset(RETAIL.ids)
    assert "prospect" not in reachable["new"]
    assert "new" not in reachable["repeat"]
    assert "lost" in reachable["reactivated"]


@pytest.mark.parametrize("name", known_schemes())
def test_a_scheme_survives_json_with_its_thresholds(name: str) -> None:
    scheme = load_scheme(name).with_thresholds({**LIMITS, "lost_after_days": math.inf})
    text = json.dumps(scheme_to_json(scheme), allow_nan=False)
    assert scheme_from_json(json.loads(text)) == scheme


def test_a_missing_feature_or_threshold_is_named() -> None:
    features = {name: np.array([1.0]) for name in RETAIL.features}
    with pytest.raises(UsageError, match="threshold 'sleeping_ratio' is not set"):
        RETAIL.assign(features)
    del features["overdue_ratio"]
    with pytest.raises(
        UsageError, match=r"looks at 'overdue_ratio', .*Did you mean 'overdue_ratios'\?"
    ):
        RETAIL.with_thresholds(LIMITS).assign({**features, "overdue_ratios": np.array([1.0])})


def test_a_stage_that_does_not_exist_is_named() -> None:
    with pytest.raises(UsageError, match=r"no stage 'at_rsk'. Did you mean 'at_risk'\?"):
        RETAIL["at_rsk"]


def changed_scheme(**keys: Any) -> dict[str, Any]:
    """Return the retail scheme as JSON with keys changed; ``new__key`` is one of stage ``new``."""
    data = scheme_to_json(RETAIL)
    del data["thresholds"], data["pins"], data["assumed"]
    new = next(stage for stage in data["stage"] if stage["id"] == "new")
    for key, value in keys.items():
        table, name = (new, key.removeprefix("new__")) if key.startswith("new__") else (data, key)
        if value is None:
            del table[name]
        else:
            table[name] = value
    return data


ORDER = list(RETAIL.order)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ordr": []}, "here: unknown key 'ordr'. Did you mean 'order'?"),
        ({"new__rul": []}, "here, stage 2 ('new'): unknown key 'rul'. Did you mean 'rule'?"),
        ({"order": None}, "here: key 'order' is missing"),
        ({"new__rule": None}, "here, stage 2 ('new'): key 'rule' is missing"),
        ({"new__id": None}, "here, stage 2: key 'id' is missing"),
        (
            {"order": [*ORDER[:-1], "nev"]},
            "'order' names 'nev', which is no stage. Did you mean 'new'?",
        ),
        ({"order": ORDER[:-1]}, "'order' must name each stage once"),
        ({"order": [*ORDER, "new"]}, "'order' must name each stage once"),
        (
            {"new__next": ["repeat", "loyl"]},
            "stage 'new': next 'loyl' is no stage. Did you mean 'loyal'?",
        ),
        ({"new__id": "repeat"}, "a stage id stands twice"),
        (
            {"new__state": "actve"},
            "state 'actve' is none of prospect, active, lapsed. Did you mean 'active'?",
        ),
        (
            {"new__rule": ["orders = 1"]},
            "condition 'orders = 1' cannot be read; write it like 'overdue_ratio > 2'",
        ),
        ({"new__rule": ["orders == 1 2"]}, "condition 'orders == 1 2' cannot be read"),
        ({"new__rule": ["orders > nan"]}, "'nan' is neither a number nor a threshold"),
        ({"new__rule": ["orders > 1.2.3"]}, "'1.2.3' is neither a number nor a threshold"),
        ({"new__rule": ["orders > loyal_order"]}, "Did you mean 'loyal_orders'?"),
        ({"new__rule": ["recency_days >= 90"]}, "compare recency_days with > or <="),
        ({"new__rule": ["overdue_ratio < 2"]}, "compare overdue_ratio with > or <="),
        ({"new__rule": "orders == 1"}, "'rule' is 'orders == 1'; it must be a list of texts"),
        ({"new__rule": [1]}, "'rule' is [1]; it must be a list of texts"),
        ({"new__title": "New"}, "'title' is 'New'; it must be a table"),
        ({"new__id": 5}, "'id' is 5; it must be a text"),
        (
            {"stage": {"id": "new"}},
            "'stage' is {'id': 'new'}; it must be tables, each under [[stage]]",
        ),
    ],
)
def test_an_error_in_a_scheme_is_named_with_its_place(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        scheme_from_toml(changed_scheme(**keys), "here")
    assert message in str(caught.value)
    assert str(caught.value).startswith("here")


@pytest.mark.parametrize(
    "rule", ["orders >= -1", "orders>=1e0", " T_days  <=  12.5 ", "spend > loyal_spend"]
)
def test_conditions_that_can_be_read(rule: str) -> None:
    assert len(Clause.parse(rule, "here").alternatives) == 1
    assert len(Clause.parse(f"{rule} or orders == 0", "here").alternatives) == 2


def test_a_scheme_is_read_from_a_users_file(tmp_path: Path) -> None:
    text = (
        (Path(scheme_files.__file__).parents[1] / "schemes" / "retail.toml")
        .read_text("utf-8")
        .replace('id = "retail"', 'id = "mine"')
    )
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    scheme = load_scheme(str(path))
    assert (scheme.id, scheme.ids) == ("mine", RETAIL.ids)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'id = "x', "is not valid TOML"),
        (b"\xff\xfe", "cannot be read"),
        (b'id = "x"', "key 'stage' is missing"),
    ],
)
def test_a_file_that_is_no_scheme_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load_scheme(str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_unknown_scheme_is_named_with_the_nearest() -> None:
    with pytest.raises(
        UsageError,
        match=r"'retial' is no scheme \(.*retail.*\) and no TOML file. Did you mean 'retail'",
    ):
        load_scheme("retial")
    with pytest.raises(UsageError, match="is no scheme"):
        load_scheme("nowhere.toml")
