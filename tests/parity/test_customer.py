"""Attributes as features: what the oracle says, whatever evaluates them; what cannot be asked is
refused by name.
"""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import Feature
from stagecast.features.catalog.of_customer import check_declared
from stagecast.features.catalog.own import own_from_toml
from stagecast.features.catalog.standard import standard
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.evaluator import Evaluator
from stagecast.features.engines.larger_than_memory import write_features
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.errors import UsageError
from stagecast.features.requests import CustomerEvents, Event
from tests.parity.evaluators import Evaluate, by_each, check_attributes
from tests.parity.logs import (
    DAY,
    KIND_OF,
    ODD,
    Customers,
    as_ofs,
    attributes,
    event_log,
    logs,
    midnights,
    utc,
)


def of(name: str, function: str, column: str, *values: str) -> Feature:
    return Feature(name, "flag", "m", "customer", function, column, values=values)  # type: ignore[arg-type]


PLAN, QUOTED, MEMBER, COST = KIND_OF
ASKED = (
    of("cost", "value", COST),
    of("is_member", "value", MEMBER),
    of("member_is", "is", MEMBER, "true"),
    of("no_member", "is", MEMBER, "false", "no"),
    of("on_plan", "is", PLAN, "pro", "web", "a'b", ODD),
    of("other_plan", "is", PLAN, "1", "true", "ы", "NULL"),
    # names of queries and of their columns, and of an attribute that another feature asks for
    of("told", "is", QUOTED, "pro", "web"),
    of("attributes", "is", QUOTED, "shop"),
    of("plan", "value", COST),
    of("refund", "is", PLAN, "shop"),
)
CATALOG = standard(90).with_parameters(shop_gap_days=30.0).extended(ASKED)
AS_OF = utc("2020-06-01")
TWO: Customers = {name: (Event(AS_OF - 9 * DAY, "purchase", 5.0),) for name in ("a", "b")}


@by_each
@pytest.mark.parametrize("plain", [False, True])
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_attributes_are_what_the_oracle_says(
    evaluate: Evaluate, plain: bool, data: st.DataObject
) -> None:
    as_of = data.draw(midnights() if plain else as_ofs())
    customers = data.draw(
        logs(as_of, late=False, kinds=("purchase", "visit")) if plain else logs(as_of)
    )
    told, backs = data.draw(attributes(customers)), data.draw(st.sampled_from([[0], [0, 30, 365]]))
    rows = evaluate(customers, as_of, backs, CATALOG, told)
    check_attributes(rows, customers, told, as_of, backs, ASKED)


@by_each
def test_attributes_worked_out_by_hand(evaluate: Evaluate) -> None:
    catalog = CATALOG.extended(
        [Feature("half", "money", "m", formula="cost / 2 + coalesce(on_plan, 0)")]
    )
    told = {"a": {PLAN: " pro ", COST: 3, MEMBER: True}, "stranger": {PLAN: "pro", COST: 9.0}}
    found = evaluate(TWO, AS_OF, [0], catalog, told)
    assert set(found) == {("a", 0), ("b", 0)}
    want = {
        "cost": 3.0,
        "on_plan": 1.0,
        "other_plan": 0.0,
        "is_member": 1.0,
        "member_is": 1.0,
        "half": 2.5,
    }
    assert {name: found["a", 0][name] for name in want} == want
    assert all(math.isnan(found["b", 0][name]) for name in want)
    # and alone, without a feature of events
    alone = evaluate(TWO, AS_OF, [0, 3], Catalog(ASKED, {}), told)
    assert [alone["a", back]["cost"] for back in (0, 3)] == [3.0, 3.0]


def test_a_text_is_no_number_and_a_number_may_be_a_text() -> None:
    told = {COST: "12", PLAN: 1, MEMBER: None, QUOTED: 10**400}
    columns = Evaluator(CATALOG).features(
        MemoryEvents([CustomerEvents("a", TWO["a"], told)], AS_OF)
    )
    assert math.isnan(columns["cost"][0])
    assert columns["other_plan"][0] == 1.0
    beyond = MemoryEvents([CustomerEvents("a", TWO["a"], {COST: 10**400})], AS_OF)
    assert math.isnan(Evaluator(CATALOG).features(beyond)["cost"][0])
    for column in (COST, PLAN):
        with pytest.raises(
            UsageError, match=r"attributes: '.*' is \['x'\]; give a text, a number, true"
        ):
            Evaluator(CATALOG).features(
                MemoryEvents([CustomerEvents("a", TWO["a"], {column: ["x"]})], AS_OF)
            )


def test_features_of_parts_have_the_attributes_of_their_customers(tmp_path: Path) -> None:
    customers = {
        f"c{k}": (Event(AS_OF - (k + 1) * DAY, "purchase", 1.0), Event(AS_OF - DAY, "visit"))
        for k in range(9)
    }
    told = {
        **{name: {COST: float(k)} for k, name in enumerate(customers) if k != 4},
        "c10": {COST: 1.0},
    }
    catalog = standard(90).extended(ASKED)
    with event_log(customers, told) as log:
        assert write_features(log, AS_OF, catalog, tmp_path / "whole.parquet") == 9
        assert write_features(log, AS_OF, catalog, tmp_path / "parts.parquet", rows_per_part=5) == 9
    whole, parts = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("whole", "parts"))
    assert whole.equals(parts)
    assert whole["cost"].to_pylist() == [0.0, 1.0, 2.0, 3.0, None, 5.0, 6.0, 7.0, 8.0]


def test_a_log_without_such_features_reads_no_attributes() -> None:
    with event_log(TWO, {"a": {PLAN: "pro"}}) as log:
        table = DailyTable(log.con, AS_OF)
        table.features(standard(90).with_parameters(shop_gap_days=30.0), [0])
        assert "told" not in table._made
        table.features(CATALOG, [0])
        assert "told" in table._made


# --- what cannot be asked -------------------------------------------------------------------------

KINDS = {"plan": "category", "age": "number", "member": "flag"}


@pytest.mark.parametrize(
    ("asked", "declared", "message"),
    [
        (
            of("f", "is", "plan", "pro"),
            ["age"],
            r"'plan' of the customer, which is not declared .*\(age is\)",
        ),
        (
            of("f", "is", "plan", "pro"),
            [],
            r"\(nothing is\).*declare it with --known-at-start plan, or as known_at_st",
        ),
        (
            of("f", "is", "plam", "pro"),
            ["plan"],
            r"'plam', which is no column of the table.*Did you mean 'plan'\?",
        ),
        (
            of("f", "value", "plan"),
            ["plan"],
            r"the value of 'plan', which is a category: .* function = \"is\"",
        ),
        (
            of("f", "is", "age", "7"),
            ["age"],
            r"whether 'age' is a text, and it is a number: .* function = \"value\"",
        ),
    ],
)
def test_a_column_that_cannot_be_asked_for_is_named(
    asked: Feature, declared: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=f"feature 'f' asks .*{message}"):
        check_declared(Catalog((asked,), {}), KINDS, declared)


def test_a_declared_number_that_no_feature_asks_for_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"'age', which is a number, and no feature .*column = \"age\".*make bands"
    ):
        check_declared(Catalog((of("f", "is", "plan", "pro"),), {}), KINDS, ["plan", "age"])
    check_declared(Catalog((of("f", "value", "age"),), {}), KINDS, ["plan", "age", "member"])


def test_a_log_without_a_table_of_customers_is_refused() -> None:
    with (
        event_log(TWO) as log,
        pytest.raises(UsageError, match=r"'plan' of the customer: name .*--customers"),
    ):
        DailyTable(log.con, AS_OF).features(Catalog((of("f", "is", "plan", "pro"),), {}), [0])


def test_features_of_what_is_not_declared_are_not_written(tmp_path: Path) -> None:
    with event_log(TWO, {"a": {PLAN: "pro"}}) as log:
        log.known_at_start = (COST,)
        with pytest.raises(UsageError, match="declare it with --known-at-start plan"):
            write_features(
                log,
                AS_OF,
                standard(90).extended([of("f", "is", PLAN, "pro")]),
                tmp_path / "f.parquet",
            )
    assert not list(tmp_path.iterdir())


SAID = "[catalog.x]\nmeaning='m'\nunit='u'\nfrom='customer'\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("function='is'\ncolumn='plan'", r"name the texts that count, like values = \['pro'"),
        ("function='is'\ncolumn='plan'\nvalues=[]", r"name the texts that count"),
        (
            "function='is'\ncolumn='plan'\nvalues=[1, 2]",
            r"values must be a list of texts, not \[1, 2\]",
        ),
        ("function='is'\ncolumn='plan'\nvalues=['pro', ' ']", r"values \[''\] are not texts"),
        ("function='is'\nvalues=['pro']", r"name the column of the table of customers"),
        (
            "function='value'\ncolumn='age'\nvalues=['pro']",
            r"values \['pro'\] belong to function = 'is'",
        ),
        (
            "function='value'\ncolumn='age'\nwindow='90d'",
            r"has one row and no events; take window and events away",
        ),
        ("function='value'\ncolumn='age'\nevents=['visit']", r"take window and events away"),
        ("function='max'\ncolumn='age'", r"'max' cannot be asked of 'customer', only value and is"),
        ("function='values'\ncolumn='age'", r"'values' cannot be asked of 'customer'"),
        ("formula='orders'\nvalues=['pro']", r"a formula has no relation"),
    ],
)
def test_a_slip_is_refused_before_any_log_is_read(text: str, message: str) -> None:
    with pytest.raises(
        UsageError,
        match=rf"stagecast.toml: \[catalog.x\]: feature 'x': .*{message}|.*x\]: {message}",
    ):
        own_from_toml(tomllib.loads(SAID + text)["catalog"], "stagecast.toml")


def test_values_belong_to_attributes_alone() -> None:
    with pytest.raises(UsageError, match="belong to function = 'is' of 'customer'"):
        Feature("x", "u", "m", "days", "count", "day", values=("pro",))
    with pytest.raises(UsageError, match=r"a formula has no .* values of its own"):
        Feature("x", "u", "m", formula="orders", values=("pro",))
    with pytest.raises(
        UsageError, match=r"values \[' pro'\] are not texts without blanks around them"
    ):
        of("x", "is", "plan", " pro")


def test_attributes_are_kept_in_json_and_said_in_a_line() -> None:
    own = own_from_toml(
        tomllib.loads(SAID + "function='is'\ncolumn='plan'\nvalues=[' pro', 'team']")["catalog"],
        "stagecast.toml",
    )
    (feature,) = own.features
    assert feature.predictor
    assert feature.values == ("pro", "team")
    assert feature.how == "is(customer.plan) one of pro, team"
    assert Feature.from_json(json.loads(json.dumps(feature.to_json()))) == feature
    # as bundles of before have it
    assert "values" not in standard(90)["orders"].to_json()
    assert CATALOG["cost"].how == "value(customer.acquisition_cost)"
    np.testing.assert_equal(Catalog.from_json(CATALOG.to_json()), CATALOG)
