"""Trust says what the last watch of a model said: when, the advice, what moved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta

import pytest

from stagecast.serving.metrics.samples import Family, Sample, samples_of, text_of
from stagecast.serving.store.monitor_tables import store_monitoring
from stagecast.serving.store.store import Store
from stagecast.training.monitoring import movement
from tests.serving import published
from tests.serving.pages.test_home_page import text
from tests.serving.web import Client

FEATURES = {"gap_mean": (0.31, 1.0), "own_thing": (0.12, 1.0), "orders_90d": (0.4, 0.0)}
"""Feature -> its index, and whether nothing explains it."""


def family(name: str, **values: Mapping[str, float]) -> Family:
    """Return a metric of the watch; of ``label``, the values by that label."""
    ((label, by_value),) = values.items()
    samples = [Sample({label: key} if key else {}, value) for key, value in by_value.items()]
    return Family(f"stagecast_monitor_{name}", "gauge", "Help.", samples)


def metrics(action: str = "retrain", *, outcomes: bool = True) -> str:
    """Return what a watch keeps of its result."""
    parts = FEATURES.items()
    families = [
        family("action", action={a: float(a == action) for a in ("keep", "retrain", "repair")}),
        family("model_age_days", model_version={"9c1f7": 61.0}),
        family("faults", model_version={"9c1f7": 2.0}),
        family("unknown_event_share", model_version={"9c1f7": 0.07}),
        family("feature_psi", feature={name: psi for name, (psi, _) in parts}),
        family("feature_unexplained", feature={name: open_ for name, (_, open_) in parts}),
        family("score_psi", score={"churn_probability": 0.26, "stage": 0.01}),
    ]
    if outcomes:
        families += [
            family("leaving_share", of={"said": 0.2, "came": 0.35}),
            family("money_ratio", model_version={"9c1f7": 0.8}),
        ]
    return text_of(families)


def test_without_a_watch_the_page_says_which_command_makes_one(web: Client, store: Store) -> None:
    published.put(store, published.scores(5))
    assert web.get("/v1/trust").json()["drift"] is None
    assert "stagecast monitor EVENTS --model MODEL" in text(web, "/trust")


def test_the_last_watch_is_told_in_words(web: Client, store: Store) -> None:
    published.put(store, published.scores(5))
    store_monitoring(store.engine, "older", published.AS_OF, metrics("repair"))
    as_of = published.AS_OF + timedelta(days=61)
    store_monitoring(store.engine, "9c1f7", as_of, metrics())
    drift = web.get("/v1/trust").json()["drift"]
    assert (drift["model_version"], drift["action"], drift["faults"]) == ("9c1f7", "retrain", 2)
    assert [part["name"] for part in drift["moved"]] == ["gap_mean", "own_thing"]
    assert [part["strength"] for part in drift["scores"]] == ["far", "little"]
    page = text(web, "/trust")
    assert "Train the model anew." in page
    assert f"with events up to {as_of:%Y-%m-%d}; the model was 61 days old" in page
    assert "That was the model 9c1f7, and the present scores are of another one." in page
    assert "2 things in the log look broken. 7% of the events are of a kind" in page
    came = "Of the active 20% were expected to order nothing, and 35% ordered nothing."
    assert f"{came} They spent 80% of" in page
    assert "2 of the 3 facts of the customers that the model looks at moved" in page
    assert "the gaps between their orders ( gap_mean ): moved far" in page
    assert "another fact ( own_thing ): moved clearly" in page
    assert "orders_90d" not in page, "a season or chance explains it"
    assert "the churn risk: moved far" in page
    assert "the stages: moved little" in page


def test_what_is_not_known_is_said_so(web: Client, store: Store) -> None:
    published.put(store, published.scores(5))
    version = web.get("/v1/trust").json()["model_version"]
    store_monitoring(store.engine, version, published.AS_OF, metrics("keep", outcomes=False))
    page = text(web, "/trust")
    assert "Keep the model." in page
    assert "No outcome is known yet" in page
    assert "the present scores are of another one" not in page


@pytest.mark.parametrize("value", [0.1, 1e-300, math.inf])
def test_metrics_are_read_as_they_were_written(value: float) -> None:
    label = 'a "b" \\ c\n}, d="e'
    made = Family("shop_x", "gauge", "Help.", [Sample({"of": label, "by": "y"}, value)])
    assert samples_of(text_of([made])) == [("shop_x", {"of": label, "by": "y"}, value)]
    with pytest.raises(ValueError, match="no sample"):
        samples_of("shop_x{of=")


def test_the_limits_of_a_shift_are_those_of_the_watch() -> None:
    from stagecast.serving.monitor import kept

    assert (kept.SMALL, kept.LARGE) == (movement.SMALL, movement.LARGE)
