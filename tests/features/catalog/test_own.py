"""A user's own features, from a configuration or from Python, in the catalogue and in a bundle."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import Feature
from stagecast.features.catalog.own import OwnFeatures, features_per_type, own_from_toml
from stagecast.features.catalog.standard import WINDOWS_DAYS, standard
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.engines.evaluator import Evaluator
from stagecast.features.engines.memory import MemoryEvents
from stagecast.features.errors import UsageError
from stagecast.features.requests import Event
from tests.parity.logs import DAY, event_log, requests, utc

REQUIRED = "meaning='m'\nunit='u'\n"
CONFIGURATION = """
[catalog]
per_type = ["Call"]

[catalog.big_days_180d]
meaning = "most spent on one day in the last 180 days"
unit = "money"
from = "days"
function = "max"
column = "spend"
window = "180d"

[catalog.older_calls]
meaning = "calls 31 to 90 days ago"
unit = "events"
from = "types"
function = "sum"
column = "events"
events = ["call"]
window = ["30d", "90d"]
predictor = false

[catalog.calls_per_order]
meaning = "calls of the last 90 days for each purchase day"
unit = "ratio"
formula = "call_count_90d / nullif(orders_90d, 0)"

[catalog.contacts_30d]
predictor = true
"""


def own(text: str) -> OwnFeatures:
    return own_from_toml(tomllib.loads(text)["catalog"], "stagecast.toml")


def test_features_of_a_configuration_are_evaluated() -> None:
    catalog = own(CONFIGURATION).catalog(90).with_parameters(shop_gap_days=30.0)
    as_of = utc("2020-06-01")
    customers = {
        "a": (
            Event(as_of - 10 * DAY, "purchase", 5.0),
            Event(as_of - 170 * DAY, "purchase", 9.0),
            Event(as_of - 190 * DAY, "purchase", 99.0),
            Event(as_of - 20 * DAY, "call", 3.0, "phone"),
            Event(as_of - 40 * DAY, "call", None, "chat"),
            Event(as_of - 41 * DAY, "call", 4.0, "chat"),
        ),
        "b": (Event(as_of - 1 * DAY, "visit"),),
    }
    with event_log(customers) as log:
        by_sql = DailyTable(log.con, as_of).features(catalog, [0])
    in_memory = Evaluator(catalog).features(MemoryEvents(requests(customers), as_of))
    expected = {
        "big_days_180d": [9.0, np.nan],
        "older_calls": [2.0, 0.0],
        "calls_per_order": [3.0, np.nan],
        "call_count_30d": [1.0, 0.0],
        "call_amount_90d": [7.0, 0.0],
        "call_amount_mean_90d": [3.5, np.nan],
        "call_channels_365d": [2.0, 0.0],
        "call_categories_365d": [0.0, 0.0],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(by_sql[name], values, err_msg=name)
        np.testing.assert_array_equal(in_memory[name], values, err_msg=name)


def test_own_features_are_predictors_unless_configured_otherwise() -> None:
    catalog = own(CONFIGURATION).catalog(90)
    added = set(catalog.predictors) - set(standard(90).predictors)
    assert {"big_days_180d", "calls_per_order", "contacts_30d", "call_count_7d"} <= added
    assert "older_calls" not in added


def test_events_of_the_marketer_are_no_predictors_unless_configured() -> None:
    assert not any(feature.predictor for feature in features_per_type(["email_sent"]))
    text = (
        f"[catalog.sent]\n{REQUIRED}from='types'\nfunction='sum'\ncolumn='events'\n"
        "events=['contact']\n"
    )
    assert not own(text).features[0].predictor
    assert own(text + "predictor=true").features[0].predictor


def test_a_type_has_counts_sums_means_and_distinct_values_in_each_window() -> None:
    names = {feature.name for feature in features_per_type(["call"])}
    kinds = ("count", "amount", "amount_mean", "channels", "categories")
    assert names == {f"call_{kind}_{days}d" for kind in kinds for days in WINDOWS_DAYS}
    assert features_per_type(["2nd call!"], [30])[0].name == "of_2nd_call__count_30d"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[catalog]\nper_type = 'call'", "per_type must be a list of event types"),
        ("[catalog]\nx = 3", r"\[catalog.x\] must be a table"),
        ("[catalog.x]\nunit='days'\nformula='orders'", r"\[catalog.x\]: say what it is: meaning"),
        (
            f"[catalog.x]\n{REQUIRED}formla='orders'",
            "unknown key 'formla'. Did you mean 'formula'",
        ),
        (
            f"[catalog.x]\n{REQUIRED}formula='order'",
            "names 'order', which is no feature before it. Did you",
        ),
        (f"[catalog.x]\n{REQUIRED}formula='orders ** 2'", "feature 'x': formula"),
        (f"[catalog.orders]\n{REQUIRED}formula='frequency'", r"\['orders'\] stands twice"),
        (f"[catalog.ORDERS]\n{REQUIRED}formula='frequency'", r"\['orders'\] stands twice"),
        ("[catalog.nothing]\npredictor=true", "no feature 'nothing'"),
        (
            f"[catalog.x]\n{REQUIRED}formula='orders'\npredictor='yes'",
            "predictor must be true or false",
        ),
        (
            f"[catalog.x]\n{REQUIRED}from='days'\nfunction='sum'\ncolumn='spend'\n"
            "window='3 months'",
            "window '3 m",
        ),
        (
            f"[catalog.x]\n{REQUIRED}from='days'\nfunction='sum'\ncolumn='spend'\nwindow=[1]",
            r"\[1\] is neither",
        ),
        (
            f"[catalog.x]\n{REQUIRED}from='types'\nfunction='sum'\ncolumn='events'",
            "name the event types",
        ),
        (f"[catalog.'a b']\n{REQUIRED}formula='orders'", "a name is a letter"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        own(text)
    assert str(error.value).startswith("stagecast.toml")


def test_json_is_read_back() -> None:
    own_features = own(CONFIGURATION)
    assert OwnFeatures.from_json(json.loads(json.dumps(own_features.to_json()))) == own_features
    catalog = own_features.catalog(90).with_parameters(shop_gap_days=3.0)
    assert Catalog.from_json(json.loads(json.dumps(catalog.to_json()))) == catalog


def test_columns_that_differ_from_the_catalogue_are_refused_by_name() -> None:
    catalog = standard(90)
    columns = {name: np.zeros(2) for name in catalog.names}
    catalog.check_columns(columns)
    without_orders = {name: values for name, values in columns.items() if name != "orders"}
    with pytest.raises(UsageError, match=r"features that are missing: orders$"):
        catalog.check_columns(without_orders)
    with pytest.raises(UsageError, match="was not trained on: extra; leave"):
        catalog.check_columns({**columns, "extra": np.zeros(2)})
    with pytest.raises(
        UsageError, match=r"another order than in training: first_day \(where orders stood\)"
    ):
        catalog.check_columns({**without_orders, "orders": columns["orders"]})
    with pytest.raises(UsageError, match=r"arrays of float64, null as NaN: spend$"):
        catalog.check_columns({**columns, "spend": np.zeros(2, dtype=np.float32)})


@pytest.mark.slow
def test_own_features_from_python_reach_the_models_and_their_bundle(tmp_path: Path) -> None:
    from bench.simulation import AS_OF, simulate
    from stagecast.features.events import from_frame
    from stagecast.serving.scoring.batch import snapshot
    from stagecast.serving.scoring.scorer import load_scorer
    from stagecast.training.bundle import save_bundle
    from stagecast.training.config import TrainConfig
    from stagecast.training.train import train

    feature = Feature(
        "days_since_half", "days", "half the silence", formula="recency_days / 2", predictor=True
    )
    config = replace(TrainConfig(max_dates=1), own=OwnFeatures((feature,)))
    with from_frame(simulate(600)) as log:
        training = train(log.con, AS_OF, config)
        save_bundle(tmp_path / "model", training.models, AS_OF, training.data_cutoff, {})
        scorer = load_scorer(tmp_path / "model")
        trees = scorer.bundle.models.churn.trees
        assert trees is not None
        assert "days_since_half" in trees.columns
        assert scorer.bundle.models.catalog["days_since_half"] == feature
        current, cutoff = snapshot(log, scorer.bundle, AS_OF)
        assert len(scorer.score(current, cutoff)) == 600
