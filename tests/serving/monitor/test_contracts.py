"""A model of contracts watched: cancellations against what was said, and a service that ages."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import stagecast as sc
from stagecast.serving.monitor.watch import monitor

pytestmark = pytest.mark.slow

HORIZON, TRAINED, DAYS = 60, 400, 500
START = pd.Timestamp("2024-01-01")
AT = START + pd.Timedelta(days=DAYS - HORIZON)


@pytest.fixture(scope="module")
def service():
    """Events and truth of a young service, and a model that was trained on its first 400 days."""
    events, truth = sc.datasets.make_subscriptions(700, days=DAYS, seed=3)
    model = sc.Lifecycle(horizon=f"{HORIZON}d", churn="cancellation", max_dates=1)
    with sc.read_events(events, duplicates="keep") as log:
        model.fit(log, as_of=START + pd.Timedelta(days=TRAINED))
        result = monitor(model, log, START + pd.Timedelta(days=DAYS))
        scores = model.score(log, as_of=AT, reasons=False)
    return events, truth, model, result, scores


def test_cancellations_are_held_against_what_was_said_and_what_is_true(service):
    events, truth, _, result, scores = service
    cancels = events[(events["event"] == "cancel") & (events["timestamp"] >= AT)]
    active = scores[scores["state"] == "active"]
    group = result.checked.compared
    assert group.customers == len(active)
    assert group.left == active.index.isin(cancels["customer_id"]).sum()
    assert group.said == pytest.approx(active["churn_probability"].sum())
    # the truth that the events were drawn from
    chances = 1 - np.exp(-truth.loc[active.index, "cancel_rate"] * HORIZON)
    spread = np.sqrt((chances * (1 - chances)).sum())
    assert abs(group.left - chances.sum()) < 3 * spread
    assert abs(group.said - chances.sum()) < 0.05 * len(active)
    assert group.low < group.left < group.high
    assert result.checked.auc > 0.6
    assert not any("not held against what came" in note for note in result.notes)
    bands = [line.compared for line in result.settled if line.by == "band"]
    assert sum(band.left for band in bands) == group.left
    assert json.dumps(result.to_json(), allow_nan=False)


def test_customers_who_grow_older_are_no_drift(service):
    result = service[3]
    moved = {m.name: m for m in result.features}
    assert {moved[name].reading for name in ("orders", "spend")} <= {"older", "small", "quiet"}
    assert any(m.reading == "older" for m in result.features if m.name in ("orders", "spend"))
    assert not [m.name for m in result.features if m.large]
    assert result.advice.action == "keep"


def test_a_wave_of_cancellations_is_a_reason_to_retrain(service):
    events, _, model, result, scores = service
    active = scores.index[scores["state"] == "active"]
    wave = list(active[::3])
    when = AT + pd.Timedelta(days=20)
    goes_on = ~(events["customer_id"].isin(wave) & (events["timestamp"] >= when))
    cancels = pd.DataFrame(
        {"customer_id": wave, "timestamp": when, "event": "cancel", "amount": np.nan}
    )
    with sc.read_events(pd.concat([events[goes_on], cancels]), duplicates="keep") as log:
        hit = monitor(model, log, START + pd.Timedelta(days=DAYS))
    assert hit.checked.compared.said == pytest.approx(result.checked.compared.said)
    assert hit.checked.compared.left > result.checked.compared.left + len(wave) / 2
    assert hit.advice.action == "retrain"
    assert [r.cause for r in hit.advice.reasons if r.action == "retrain"][:1] == ["quality"]
