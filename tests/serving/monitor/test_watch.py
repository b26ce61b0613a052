"""A model watched on a log: one that goes on as before, and the same with faults, named by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stagecast.features.errors import UsageError
from stagecast.serving.monitor.page import render_monitoring
from stagecast.serving.monitor.prometheus import prometheus_text
from stagecast.serving.monitor.truth import newest_run, settled_lines
from stagecast.serving.monitor.watch import monitor
from stagecast.serving.scoring.batch import snapshot
from stagecast.serving.scoring.scorer import Scorer
from stagecast.serving.settled.ledger import append
from stagecast.serving.settled.settlement import Said, settlement
from tests.serving import published
from tests.serving.monitor.made import (
    AS_OF,
    BROKEN,
    TRAINED,
    halved,
    in_cents,
    log_with,
    renamed,
    rows,
)
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import day

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundle(shop):  # noqa: F811
    return shop.reloaded()


@pytest.fixture(scope="module")
def quiet(bundle):
    with log_with(rows()) as log:
        return monitor(bundle, log, AS_OF)


def test_a_shop_that_goes_on_as_before_has_no_faults_and_no_changed_rate(quiet):
    assert quiet.faults == ()
    assert quiet.advice.action != "repair"
    assert {row.reading for row in quiet.events} <= {"quiet", "small"}
    assert {row.name for row in quiet.events} == {"purchase", "refund"}  # visits ended before
    assert quiet.amounts.reading == "quiet"
    assert quiet.unknown_share == 0
    assert quiet.age_days == AS_OF.toordinal() - day(TRAINED).toordinal()


def test_what_was_said_of_the_past_date_is_held_against_what_came(quiet, bundle):
    at = day(TRAINED + 30)
    assert quiet.checked.as_of == at.date().isoformat()
    with log_with(rows()) as log:
        scores = Scorer(bundle, with_reasons=False).score(*snapshot(log, bundle, at)).to_pandas()
    came = {name for name, when, event, _ in rows() if event == "purchase" and at <= when < AS_OF}
    active = scores[scores["state"] == "active"]
    left = ~active["customer_id"].isin(came)
    group = quiet.checked.compared
    assert group.customers == len(active)
    assert group.said == pytest.approx(active["churn_probability"].sum())
    # refunds undo orders, so a few more have none
    assert left.sum() <= group.left <= left.sum() + 0.05 * len(active)
    assert quiet.checked.brier == pytest.approx(
        np.mean((active["churn_probability"] - left) ** 2), abs=0.02
    )
    (run,) = [line for line in quiet.settled if line.by == "run"]
    assert run.source == "checked"
    bands = [line.compared.customers for line in quiet.settled if line.by == "band"]
    assert sum(bands) == group.customers


def test_a_renamed_type_is_named(bundle):
    with log_with(renamed(rows())) as log:
        result = monitor(bundle, log, AS_OF)
    assert result.advice.action == "repair"
    (fault,) = [fault for fault in result.faults if fault.kind == "renamed"]
    assert fault.subject == "purchases"
    assert fault.since == day(BROKEN).date().isoformat()
    assert "'purchase'" in result.advice.sentence
    assert result.unknown_share > 0.3


def test_amounts_in_cents_are_named(bundle):
    with log_with(in_cents(rows())) as log:
        result = monitor(bundle, log, AS_OF)
    (fault,) = result.faults
    assert (fault.kind, fault.subject) == ("unit", "purchase")
    assert abs(np.datetime64(fault.since) - np.datetime64(day(BROKEN).date())) <= 1
    assert "hundredths" in fault.sentence
    assert result.amounts.reading == "moved"


def test_customers_who_are_missing_since_the_training_are_named(bundle):
    with log_with(halved(rows())) as log:
        result = monitor(bundle, log, AS_OF)
    (fault,) = [fault for fault in result.faults if fault.kind == "shorter history"]
    assert "the training counted" in fault.sentence
    assert result.advice.action == "repair"


def test_nothing_after_the_as_of_is_looked_at(quiet, bundle):
    known = rows()
    later = [(name, at.replace(year=at.year + 1), "other", 1e6) for name, at, *_ in known[-500:]]
    with log_with([*known, *later]) as log:
        assert monitor(bundle, log, AS_OF).to_json() == quiet.to_json()


def test_a_date_before_the_training_is_refused(bundle):
    with log_with(rows()) as log, pytest.raises(UsageError, match="stands before the training"):
        monitor(bundle, log, day(TRAINED - 1))


def test_what_cannot_be_compared_is_said(bundle):
    fresh = [row for row in rows() if row[1] >= day(TRAINED + 10)]
    with log_with(fresh) as log:
        result = monitor(bundle, log, AS_OF)
        assert any("nothing before the training's as_of" in note for note in result.notes)
        assert result.features == ()
        with pytest.raises(UsageError, match="a bundle, its folder or a scorer"):
            monitor(3, log, AS_OF)  # type: ignore[arg-type]


def test_python_json_metrics_and_the_page_say_the_same(quiet, shop):  # noqa: F811
    assert quiet.advice.action in repr(quiet)
    assert len(repr(quiet)) < 600
    data = json.loads(json.dumps(quiet.to_json(), allow_nan=False))
    assert data["advice"]["sentence"] == quiet.advice.sentence
    text = prometheus_text(quiet)
    version = quiet.model_version
    assert f'stagecast_monitor_action{{model_version="{version}",action="repair"}} 0.0' in text
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(np.isfinite(float(line.rsplit(" ", 1)[1])) for line in samples)
    heads = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))
    page = render_monitoring(quiet)
    assert page == render_monitoring(quiet)
    assert version in page
    assert "<script" not in page
    assert "None" not in page.split("</style>")[1].split("<svg")[0]


def test_published_runs_are_summed_by_version_and_band_and_late_ones_left_out(tmp_path):
    def run(as_of, version, orders, *, in_time=True):
        texts = {"state": ["active"] * 40, "stage": ["new"] * 20 + ["loyal"] * 20}
        texts |= {"churn_band": ["high"] * 20 + ["low"] * 20, "method": ["blend"] * 40}
        numbers = {"p_inactive": [0.8] * 20 + [0.2] * 20, "expected_orders": [1.0] * 40}
        numbers |= {"expected_spend": [10.0] * 40}
        said = {name: np.array(values, dtype=object) for name, values in texts.items()}
        said |= {name: np.array(values) for name, values in numbers.items()}
        spend = 10.0 * orders + np.tile([-5.0, 5.0], 20)
        facts = {"as_of": as_of, "horizon_days": 90, "model_version": version, "customers": 40}
        return settlement(Said(**said), orders, spend, **facts, in_time=in_time)

    store = published.open_store(tmp_path)
    first = np.r_[np.zeros(16), np.ones(20), np.zeros(4)]  # 16 of the high and 4 of the low left
    try:
        with store.engine.begin() as connection:
            append(connection, 1, run("1998-01-01", "a", first))
            append(connection, 2, run("1998-02-01", "b", np.zeros(40)))
            append(connection, 3, run("1998-03-01", "b", first, in_time=False))
            append(connection, 4, run("1999-03-01", "b", first))  # its horizon is not over
        with log_with([("x", published.AS_OF, "purchase", 1.0)]) as log:
            lines = settled_lines(store.engine, log, published.AS_OF.replace(month=12))
    finally:
        store.close()
    by = {(line.by, line.name): line for line in lines}
    assert [line.name for line in lines if line.by == "run"] == ["1998-01-01", "1998-02-01"]
    good = by["run", "1998-01-01"]
    assert (good.compared.left, good.compared.off) == (20, False)
    assert good.compared.said == pytest.approx(20.0)
    assert good.brier == pytest.approx(0.16)
    # root of 40 x 0.16, times 1.96
    assert good.compared.high - 20 == pytest.approx(1.96 * 2.53, abs=0.01)
    assert good.compared.money_ratio == pytest.approx(0.5)
    assert good.compared.money_off
    assert by["version", "b"].compared.off
    high = by["band", "high"].compared
    assert (high.customers, high.left) == (40, 36)
    assert high.said == pytest.approx(32.0)
    # errors of runs of one shop are added: twice the root of 20 x 0.16
    assert high.high - 32 == pytest.approx(1.96 * 2 * 1.789, abs=0.01)


def test_the_newest_run_up_to_a_date_is_the_one_that_customers_are_counted_against(tmp_path):
    store = published.open_store(tmp_path)
    try:
        published.publish(store, published.scores(30))
        run = newest_run(store.engine, published.AS_OF)
        assert run is not None
        assert run.customers == 30
        assert newest_run(store.engine, published.AS_OF.replace(year=1997)) is None
    finally:
        store.close()
