"""Features of attributes agree with the oracle in every evaluator; errors name the feature."""

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
    attribute_tables,
    event_log,
    logs,
    midnights,
    utc,
)
from tests.profiles import examples


def attribute_feature(name: str, function: str, column: str, *values: str) -> Feature:
    return Feature(name, "flag", "m", "customer", function, column, values=values)  # type: ignore[arg-type]


PLAN, QUOTED, MEMBER, COST = KIND_OF
FEATURES = (
    attribute_feature("cost", "value", COST),
    attribute_feature("is_member", "value", MEMBER),
    attribute_feature("member_is", "is", MEMBER, "true"),
    attribute_feature("no_member", "is", MEMBER, "false", "no"),
    attribute_feature("on_plan", "is", PLAN, "pro", "web", "a'b", ODD),
    attribute_feature("other_plan", "is", PLAN, "1", "true", "ы", "NULL"),
    # names of steps and columns of the queries, and of an attribute that another feature uses
    attribute_feature("told", "is", QUOTED, "pro", "web"),
    attribute_feature("attributes", "is", QUOTED, "shop"),
    attribute_feature("plan", "value", COST),
    attribute_feature("refund", "is", PLAN, "shop"),
)
CATALOG = standard(90).with_parameters(shop_gap_days=30.0).extended(FEATURES)
AS_OF = utc("2020-06-01")
CUSTOMERS: Customers = {name: (Event(AS_OF - 9 * DAY, "purchase", 5.0),) for name in ("a", "b")}


@by_each
@pytest.mark.parametrize("plain", [False, True])
@settings(max_examples=examples(8), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_attributes_agree_with_the_oracle(
    evaluate: Evaluate, plain: bool, data: st.DataObject
) -> None:
    as_of = data.draw(midnights() if plain else as_ofs())
    customers = data.draw(
        logs(as_of, late=False, kinds=("purchase", "visit")) if plain else logs(as_of)
    )
    attributes = data.draw(attribute_tables(customers))
    backs = data.draw(st.sampled_from([[0], [0, 30, 365]]))
    rows = evaluate(customers, as_of, backs, CATALOG, attributes)
    check_attributes(rows, customers, attributes, as_of, backs, FEATURES)


@pytest.mark.slow
@by_each
def test_attributes_worked_out_by_hand(evaluate: Evaluate) -> None:
    catalog = CATALOG.extended(
        [Feature("half", "money", "m", formula="cost / 2 + coalesce(on_plan, 0)")]
    )
    attributes = {
        "a": {PLAN: " pro ", COST: 3, MEMBER: True},
        "stranger": {PLAN: "pro", COST: 9.0},
    }
    rows = evaluate(CUSTOMERS, AS_OF, [0], catalog, attributes)
    assert set(rows) == {("a", 0), ("b", 0)}
    expected = {
        "cost": 3.0,
        "on_plan": 1.0,
        "other_plan": 0.0,
        "is_member": 1.0,
        "member_is": 1.0,
        "half": 2.5,
    }
    assert {name: rows["a", 0][name] for name in expected} == expected
    assert all(math.isnan(rows["b", 0][name]) for name in expected)
    # a catalogue without any feature of events
    rows = evaluate(CUSTOMERS, AS_OF, [0, 3], Catalog(FEATURES, {}), attributes)
    assert [rows["a", back]["cost"] for back in (0, 3)] == [3.0, 3.0]


def test_a_text_is_no_number_and_a_number_may_be_a_text() -> None:
    attributes = {COST: "12", PLAN: 1, MEMBER: None, QUOTED: 10**400}
    columns = Evaluator(CATALOG).features(
        MemoryEvents([CustomerEvents("a", CUSTOMERS["a"], attributes)], AS_OF)
    )
    assert math.isnan(columns["cost"][0])
    assert columns["other_plan"][0] == 1.0
    too_large = MemoryEvents([CustomerEvents("a", CUSTOMERS["a"], {COST: 10**400})], AS_OF)
    assert math.isnan(Evaluator(CATALOG).features(too_large)["cost"][0])
    for column in (COST, PLAN):
        with pytest.raises(
            UsageError, match=r"attributes: '.*' is \['x'\]; give a text, a number, true"
        ):
            Evaluator(CATALOG).features(
                MemoryEvents([CustomerEvents("a", CUSTOMERS["a"], {column: ["x"]})], AS_OF)
            )


def test_features_of_parts_have_the_attributes_of_their_customers(tmp_path: Path) -> None:
    customers = {
        f"c{k}": (Event(AS_OF - (k + 1) * DAY, "purchase", 1.0), Event(AS_OF - DAY, "visit"))
        for k in range(9)
    }
    attributes = {
        **{name: {COST: float(k)} for k, name in enumerate(customers) if k != 4},
        "c10": {COST: 1.0},
    }
    catalog = standard(90).extended(FEATURES)
    with event_log(customers, attributes) as log:
        assert write_features(log, AS_OF, catalog, tmp_path / "whole.parquet") == 9
        assert write_features(log, AS_OF, catalog, tmp_path / "parts.parquet", rows_per_part=5) == 9
    whole, parts = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("whole", "parts"))
    assert whole.equals(parts)
    assert whole["cost"].to_pylist() == [0.0, 1.0, 2.0, 3.0, None, 5.0, 6.0, 7.0, 8.0]


def test_a_log_without_such_features_reads_no_attributes() -> None:
    with event_log(CUSTOMERS, {"a": {PLAN: "pro"}}) as log:
        table = DailyTable(log.con, AS_OF)
        table.features(standard(90).with_parameters(shop_gap_days=30.0), [0])
        assert "told" not in table._known.tables
        table.features(CATALOG, [0])
        assert "told" in table._known.tables


# --- errors ---------------------------------------------------------------------------------------

KINDS = {"plan": "category", "age": "number", "member": "flag"}


@pytest.mark.parametrize(
    ("feature", "declared", "message"),
    [
        (
            attribute_feature("f", "is", "plan", "pro"),
            ["age"],
            r"'plan' of the customer, which is not declared .*\(age is\)",
        ),
        (
            attribute_feature("f", "is", "plan", "pro"),
            [],
            r"\(nothing is\).*declare it with --known-at-start plan, or as known_at_st",
        ),
        (
            attribute_feature("f", "is", "plam", "pro"),
            ["plan"],
            r"'plam', which is no column of the table.*Did you mean 'plan'\?",
        ),
        (
            attribute_feature("f", "value", "plan"),
            ["plan"],
            r"the value of 'plan', which is a category: .* function = \"is\"",
        ),
        (
            attribute_feature("f", "is", "age", "7"),
            ["age"],
            r"whether 'age' is a text, and it is a number: .* function = \"value\"",
        ),
    ],
)
def test_a_column_that_cannot_be_used_is_named(
    feature: Feature, declared: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=f"feature 'f' asks .*{message}"):
        check_declared(Catalog((feature,), {}), KINDS, declared)


def test_a_declared_number_that_no_feature_uses_is_refused() -> None:
    catalog = Catalog((attribute_feature("f", "is", "plan", "pro"),), {})
    with pytest.raises(
        UsageError, match=r"'age', which is a number, and no feature .*column = \"age\".*make bands"
    ):
        check_declared(catalog, KINDS, ["plan", "age"])
    catalog = Catalog((attribute_feature("f", "value", "age"),), {})
    check_declared(catalog, KINDS, ["plan", "age", "member"])


def test_a_log_without_a_table_of_customers_is_refused() -> None:
    catalog = Catalog((attribute_feature("f", "is", "plan", "pro"),), {})
    with (
        event_log(CUSTOMERS) as log,
        pytest.raises(UsageError, match=r"'plan' of the customer: name .*--customers"),
    ):
        DailyTable(log.con, AS_OF).features(catalog, [0])


def test_features_of_undeclared_columns_are_not_written(tmp_path: Path) -> None:
    with event_log(CUSTOMERS, {"a": {PLAN: "pro"}}) as log:
        log.known_at_start = (COST,)
        with pytest.raises(UsageError, match="declare it with --known-at-start plan"):
            write_features(
                log,
                AS_OF,
                standard(90).extended([attribute_feature("f", "is", PLAN, "pro")]),
                tmp_path / "f.parquet",
            )
    assert not list(tmp_path.iterdir())


TOML_HEAD = "[catalog.x]\nmeaning='m'\nunit='u'\nfrom='customer'\n"


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
def test_a_mistake_is_refused_before_any_log_is_read(text: str, message: str) -> None:
    with pytest.raises(
        UsageError,
        match=rf"stagecast.toml: \[catalog.x\]: feature 'x': .*{message}|.*x\]: {message}",
    ):
        own_from_toml(tomllib.loads(TOML_HEAD + text)["catalog"], "stagecast.toml")


def test_values_belong_to_attributes_alone() -> None:
    with pytest.raises(UsageError, match="belong to function = 'is' of 'customer'"):
        Feature("x", "u", "m", "days", "count", "day", values=("pro",))
    with pytest.raises(UsageError, match=r"a formula has no .* values of its own"):
        Feature("x", "u", "m", formula="orders", values=("pro",))
    with pytest.raises(
        UsageError, match=r"values \[' pro'\] are not texts without blanks around them"
    ):
        attribute_feature("x", "is", "plan", " pro")


def test_attribute_features_have_json_and_a_definition() -> None:
    text = TOML_HEAD + "function='is'\ncolumn='plan'\nvalues=[' pro', 'team']"
    own = own_from_toml(tomllib.loads(text)["catalog"], "stagecast.toml")
    (feature,) = own.features
    assert feature.predictor
    assert feature.values == ("pro", "team")
    assert feature.definition == "is(customer.plan) one of pro, team"
    assert Feature.from_json(json.loads(json.dumps(feature.to_json()))) == feature
    # as in bundles from before the field existed
    assert "values" not in standard(90)["orders"].to_json()
    assert CATALOG["cost"].definition == "value(customer.acquisition_cost)"
    np.testing.assert_equal(Catalog.from_json(CATALOG.to_json()), CATALOG)
