"""Churn by cancellation from a log to scores: who may leave, what is told of them, and nothing
of the future in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stagecast.features.contract_spells import spells
from stagecast.features.contracts import Terms
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import DataRefusedError, NotEnoughDataError, UsageError
from stagecast.features.plain_json import to_json
from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.scoring.batch import score_log, snapshot
from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.baselines.contracts import LABELS
from stagecast.training.bundle import load_bundle
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import TrainConfig
from stagecast.training.judging.backtest import replay
from stagecast.training.judging.evaluate import observed_outcomes
from stagecast.training.judging.evaluation_result import OURS
from stagecast.training.judging.verdict import verdict
from stagecast.training.models import predict
from stagecast.training.reasons.of_contracts import (
    contract_effects,
    contract_explanations,
    with_contract_columns,
)
from stagecast.training.train import train
from tests.few_draws import few_draws
from tests.training.made import (
    Row,
    Trained,
    check_contract,
    day,
    frame_of,
    log_of,
    trained,
    unevaluated,
)
from tests.training.made_contracts import DAYS, subscriptions

pytestmark = pytest.mark.slow
CONFIG = TrainConfig(horizon_days=30, churn="cancellation", max_dates=2)
AS_OF = day(DAYS)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return subscriptions()


def unpaid(rows: list[Row]) -> list[Row]:
    """Return rows without the payments: no customer-base model, which takes longest, is fitted."""
    return [row for row in rows if row[2] != "purchase"]


@pytest.fixture(scope="module")
def service(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(rows, tmp_path_factory.mktemp("service") / "model", AS_OF, CONFIG)


@pytest.fixture(scope="module")
def scores(service: Trained) -> pd.DataFrame:
    table = service.scores()
    check_contract(table)
    return table.to_pandas().set_index("customer_id")


def held(rows: list[Row]) -> dict[str, str]:
    """Return the state of each customer, event by event."""
    actual: dict[str, str] = {}
    for who, _, what, _ in sorted(rows, key=lambda row: row[1]):
        now = {"cancel": "lapsed", "visit": actual.get(who, "prospect")}.get(what, "active")
        actual[who] = now
    return actual


def test_the_contract_says_who_may_leave(scores: pd.DataFrame, rows: list[Row]) -> None:
    expected = pd.Series(held(rows))
    assert scores["state"].sort_index().to_dict() == expected.sort_index().to_dict()
    active = scores["state"] == "active"
    assert set(scores["state"]) == {"prospect", "active", "lapsed"}
    for name in ("churn_probability", "churn_percentile", "churn_band"):
        assert (scores[name].notna() == active).all(), name
    assert (scores["value_at_risk"].notna() == (scores["orders"] > 0)).all()
    assert (scores["p_inactive"].notna() == (scores["state"] != "prospect")).all()
    lapsed = scores[scores["state"] == "lapsed"]
    np.testing.assert_allclose(lapsed["p_return"], 1 - lapsed["p_inactive"], rtol=1e-12)
    assert (scores["p_return"].notna() == (scores["state"] == "lapsed")).all()
    assert (scores["p_convert"].notna() == (scores["state"] == "prospect")).all()
    assert set(scores["churn"]) == {"cancellation"}
    assert set(scores.loc[active, "method"]) == {"blend"}
    assert not scores.loc[active, "low_data"].any()


def test_who_hardly_comes_by_is_at_risk(scores: pd.DataFrame) -> None:
    shaky = np.array([int(who[1:]) % 2 == 0 for who in scores.index])
    p = scores["churn_probability"]
    assert p[shaky].mean() > 1.8 * p[~shaky].mean()
    # 1 - exp(-30 / 90), 1 - exp(-30 / 270)
    assert p[shaky].mean() == pytest.approx(0.28, abs=0.09)
    assert p[~shaky].mean() == pytest.approx(0.105, abs=0.05)


def test_what_comes_later_changes_nothing(tmp_path: Path) -> None:
    rows, config = subscriptions(80), replace(CONFIG, max_dates=1)
    later: list[Row] = [(f"c{k:04d}", day(DAYS + 1), "cancel", None) for k in range(0, 80, 3)]
    later += [("new", day(DAYS + 2), "subscribe", None)]
    known = trained(rows, tmp_path / "known", AS_OF, config)
    other = trained([*rows, *later], tmp_path / "other", AS_OF, config)
    assert known.bundle.models.cancellation is not None
    assert known.bundle.models.cancellation.method == "pool"
    assert other.bundle.model_version == known.bundle.model_version
    assert other.scores().equals(known.scores())
    assert other.training.evaluation == known.training.evaluation is not None


def requests(rows: list[Row]) -> list[CustomerEvents]:
    of: dict[str, list[Event]] = {}
    for who, at, what, amount in rows:
        of.setdefault(who, []).append(Event(at, what, amount))
    return [CustomerEvents(who, tuple(events)) for who, events in sorted(of.items())]


def test_a_request_gets_the_score_of_the_batch(
    service: Trained, scores: pd.DataFrame, rows: list[Row]
) -> None:
    asked = [item for item in requests(rows) if item.customer_id < "c0080"]
    answer = (
        Scorer(service.reloaded())
        .score_customers(asked, AS_OF)
        .to_pandas()
        .set_index("customer_id")
    )
    batch = scores.loc[answer.index]
    for name in answer.columns:
        if name == "reasons":
            outcome = [[item["sentence"] for item in mine] for mine in answer[name]]
            assert outcome == [[item["sentence"] for item in mine] for mine in batch[name]]
        elif answer[name].dtype.kind == "f":
            np.testing.assert_allclose(
                answer[name], batch[name], rtol=1e-9, atol=1e-12, err_msg=name
            )
        elif name == "clv_by_year":
            assert answer[name].isna().equals(batch[name].isna())
            np.testing.assert_allclose(
                np.stack(answer[name].dropna()),
                np.stack(batch[name].dropna()),
                rtol=1e-9,
                atol=1e-12,
            )
        elif name != "data_cutoff":
            assert answer[name].tolist() == batch[name].tolist(), name


def test_a_log_in_parts_gets_the_same(
    service: Trained, scores: pd.DataFrame, rows: list[Row], tmp_path: Path
) -> None:
    scorer = Scorer(service.reloaded(), with_reasons=False)
    with log_of(rows) as log:
        score_log(log, scorer, AS_OF, tmp_path / "scores.parquet", rows_per_part=2_000)
        now, cutoff = snapshot(log, scorer.bundle, AS_OF)
        whole = scorer.score(now, cutoff)
    actual = pd.read_parquet(tmp_path / "scores.parquet").set_index("customer_id").loc[scores.index]
    for name in ("p_inactive", "value_at_risk", "p_return"):
        np.testing.assert_allclose(actual[name], scores[name], rtol=1e-9)
        np.testing.assert_allclose(whole[name].to_numpy(), scores[name], rtol=1e-9)


def test_predictions_in_parts_are_the_same(
    service: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stagecast.training import models

    panel = service.training.panel
    whole = predict(service.training.models, panel.now).p_cancel
    monkeypatch.setattr(models, "ROWS_AT_ONCE", 100)
    np.testing.assert_allclose(
        predict(service.training.models, panel.now).p_cancel, whole, rtol=1e-12
    )


def test_the_evaluation_is_of_cancellations_that_came_later(
    service: Trained, rows: list[Row]
) -> None:
    evaluation = service.training.evaluation
    assert evaluation is not None
    assert [model.name for model in evaluation.models] == [
        "stagecast",
        "base_rate",
        "recency",
        "kaplan_meier",
    ]
    since, until = day(DAYS - 30), day(DAYS)
    before = held([row for row in rows if row[1] < since])
    gone = {who for who, at, what, _ in rows if what == "cancel" and since <= at < until}
    held_then = [who for who, state in before.items() if state == "active"]
    assert evaluation.customers == len(held_then)
    assert evaluation.base_rate == pytest.approx(np.mean([who in gone for who in held_then]))
    loss = {model.name: model.log_loss for model in evaluation.models}
    assert loss["stagecast"] < loss["kaplan_meier"] < loss["base_rate"] + 0.02


def test_who_left_is_counted_by_what_was_open_then(service: Trained, rows: list[Row]) -> None:
    with log_of(unpaid(rows)) as log, unevaluated():
        earlier = train(log.con, day(DAYS - 30), replace(CONFIG, max_dates=1))
        table = DailyTable(log.con, AS_OF)
        later = observed_outcomes(table, earlier.panel, 30)
        who = kind_of("cancellation").churned(
            earlier.panel,
            earlier.models,
            predict(earlier.models, earlier.panel.now),
            later,
            quick=False,
        )
        table.close()
    assert list(who.predictions) == ["base_rate", "recency", "kaplan_meier", "cox"]
    assert all(p.shape == who.left.shape for p in who.predictions.values())
    evaluation = service.training.evaluation
    assert evaluation is not None
    assert who.left.mean() == evaluation.base_rate


def test_a_backtest_of_cancellations(rows: list[Row]) -> None:
    with log_of(unpaid(rows)) as log:
        replays = list(replay(log.con, AS_OF, replace(CONFIG, max_dates=1), dates=2))
    assert [date.churn for date in replays] == ["cancellation"] * 2
    for date in replays:
        assert set(date.p_inactive) == {OURS, *LABELS}
        assert not date.expected_spend
        assert date.learned_from.method == "pool"
        assert max(date.learned_from.past_dates) < date.as_of.isoformat()
    with few_draws():
        result = verdict(replays, 30, 1)
    assert result.churn == "cancellation"
    assert result.spend == ()
    assert [model.name for model in result.models] == [OURS, *LABELS]
    json.dumps(to_json(result), allow_nan=False)


# --- reasons


def test_effects_and_the_rest_are_the_margin_of_the_likeliest_step(service: Trained) -> None:
    models, now = service.training.models, service.training.panel.now
    model, contracts = models.cancellation, now.contracts
    assert model is not None
    assert contracts is not None
    rows = np.flatnonzero(contracts.open)
    sample = contracts.of(rows)
    columns = with_contract_columns(
        {name: values[rows] for name, values in now.features.items()},
        sample,
        models.value.billing,
    )
    effects = contract_effects(models, columns, sample)
    base = 0.0 if model.glm is None else model.weights.get("glm", 0.0) * model.glm.intercept
    from stagecast.training.cancellation.landmarks import open_contracts

    hazards = model.hazards(
        open_contracts(sample), {name: columns[name] for name in model.columns}
    ).max(axis=1)
    margin = np.log(hazards / (1.0 - hazards))
    # the regression speaks of log hazards, which are log odds but for the hazard itself
    np.testing.assert_allclose(effects.sum(axis=1) + base, margin, atol=2 * hazards.max())


def test_reasons_tell_what_sets_a_contract_apart(scores: pd.DataFrame) -> None:
    active = scores[scores["state"] == "active"]
    risky, safe = active.nlargest(30, "p_inactive"), active.nsmallest(30, "p_inactive")
    outcome = " ".join(item["sentence"] for mine in risky["reasons"] for item in mine)
    assert "in the last 30 days" in outcome
    assert all(any(item["direction"] == "raises" for item in mine) for mine in risky["reasons"])
    lowering = [item for mine in safe["reasons"] for item in mine if item["direction"] == "lowers"]
    assert lowering
    assert all(
        item["effect"] < 0 and item["sentence"].endswith("this lowers the risk")
        for item in lowering
    )
    effects = active["reasons"].map(lambda mine: sum(item["effect"] for item in mine))
    total = active["risk_base"] + active["risk_rest"] + effects
    np.testing.assert_allclose(1 / (1 + np.exp(-total)), active["p_inactive"], atol=1e-9)
    assert not any("nan" in item["sentence"] for mine in scores["reasons"] for item in mine)
    shown = {item["feature"] for mine in active["reasons"] for item in mine}
    assert "contract_days" in shown
    assert scores.loc[scores["state"] == "prospect", "reasons"].map(len).eq(0).all()


def test_nobody_without_a_contract_has_reasons_of_one(service: Trained) -> None:
    models, now = service.training.models, service.training.panel.now
    assert now.contracts is not None
    none = now.of(np.flatnonzero(~now.contracts.open)[:5])
    assert contract_explanations(models, none, predict(models, none)) == {}


# --- what cannot be


@contextmanager
def refused(match: str, error: type[Exception] = NotEnoughDataError) -> Iterator[None]:
    with pytest.raises(error, match=match):
        yield


def test_a_log_without_contracts_or_cancellations_is_refused() -> None:
    paid: list[Row] = [(f"c{k}", day(k % 60), "purchase", 5.0) for k in range(300)]
    with log_of(paid) as log:
        with refused(r"none of 300 contracts was cancelled .*cancel.*--contract-end"):
            train(log.con, day(61), CONFIG)
        with refused(r"no event is one of joined, .*--contract-start"):
            train(log.con, day(61), replace(CONFIG, terms=Terms(("joined",), ("renewed",))))


def test_a_handful_of_cancellations_gives_one_rate(tmp_path: Path) -> None:
    events: list[Row] = [(f"c{k:03d}", day(k % 100), "purchase", 5.0) for k in range(200)]
    events += [(f"c{k:03d}", day(101 + k), "cancel", None) for k in range(5)]
    done = trained(events, tmp_path / "model", day(120), CONFIG, evaluated=False)
    assert any("Only 5 contracts were cancelled" in note for note in done.training.notes)
    table = done.scores().to_pandas()
    active = table["state"] == "active"
    assert active.sum() == 195
    assert table.loc[active, "p_inactive"].nunique() == 1
    assert set(table.loc[active, "method"]) == {"rule"}
    assert table.loc[active, "low_data"].all()


def test_contracts_must_be_handed_over(service: Trained) -> None:
    now, models = service.training.panel.now, service.training.models
    with pytest.raises(UsageError, match="hand over how they stand"):
        predict(models, replace(now, contracts=None))
    with pytest.raises(UsageError, match="hand over how they stand"):
        kind_of("cancellation").states(models, replace(now, contracts=None))


@pytest.mark.parametrize("change", ["nothing learned", "another churn", "strange column"])
def test_a_bundle_whose_parts_do_not_agree_is_refused(
    service: Trained, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stagecast.training.bundle import writing

    folder = tmp_path / "model"
    models = service.bundle.models
    if change == "nothing learned":
        models = replace(models, cancellation=None)
    elif change == "another churn":
        models = replace(models, config=replace(models.config, churn="inactivity"))
    elif models.cancellation is not None:
        models = replace(models, cancellation=replace(models.cancellation, columns=("nowhere",)))
    with pytest.raises(UsageError, match="could not be read back"):
        writing.save_bundle(folder, models, AS_OF, AS_OF, {})
    assert not folder.exists()
    # one that was written in spite of it is refused when it is read
    monkeypatch.setattr(writing, "golden_rows", lambda models, as_of: None)
    monkeypatch.setattr(writing, "models_of", lambda data, files, own=None: None)
    writing.save_bundle(folder, models, AS_OF, AS_OF, {})
    monkeypatch.undo()
    with pytest.raises(DataRefusedError):
        load_bundle(folder)


def test_terms_travel_with_the_bundle(tmp_path: Path) -> None:
    other = {"subscribe": "joined", "cancel": "left", "purchase": "purchase", "visit": "visit"}
    events: list[Row] = [
        (who, at, other[what], amount) for who, at, what, amount in unpaid(subscriptions(120))
    ]
    config = replace(CONFIG, terms=Terms(("joined",), (), ("left",)))
    done = trained(events, tmp_path / "model", AS_OF, config, evaluated=False)
    assert done.reloaded().models.config.terms == config.terms
    with log_of(events) as log:
        table = DailyTable(log.con, AS_OF)
        standing = spells(table, config.terms).standing()
        table.close()
    assert (done.scores()["state"].to_numpy() == "active").sum() == standing.open.sum()


def test_own_features_are_told_in_their_own_words(tmp_path: Path) -> None:
    from stagecast.features.catalog.feature import Feature
    from stagecast.features.catalog.own import OwnFeatures

    mine = Feature(
        "visits_60d",
        "visits",
        "visits in 60 days",
        "types",
        "sum",
        "events",
        (0, 60),
        events=("visit",),
        predictor=True,
    )
    done = trained(
        unpaid(subscriptions(200)),
        tmp_path / "model",
        AS_OF,
        replace(CONFIG, own=OwnFeatures((mine,))),
        evaluated=False,
    )
    outcome: list[dict[str, Any]] = [
        item for mine_ in done.scores()["reasons"].to_pylist() for item in mine_
    ]
    own = [item for item in outcome if item["feature"] == "visits_60d"]
    assert own
    assert own[0]["sentence"].startswith("visits in 60 days: ")


def test_the_value_at_risk_is_what_the_end_of_the_contract_costs(scores: pd.DataFrame) -> None:
    active = scores[(scores["state"] == "active") & (scores["orders"] > 0)]
    # a customer with an open contract is one, so nothing is gone
    assert (active["value_gone"] == 0).all()
    np.testing.assert_allclose(
        active["value_if_kept"], active["clv"] + active["value_at_risk"], rtol=1e-12
    )
    # the share that is lost depends on the chance of the end, and little on when a payment is due
    share = active["value_at_risk"] / active["value_if_kept"]
    assert share.corr(active["churn_probability"], method="spearman") > 0.97


def test_who_had_left_but_was_recorded_late_is_not_asked_about() -> None:
    events = unpaid(subscriptions(300))
    date = day(DAYS - 30)
    # nothing since the cancellation shows a contract again
    heard = {who for who, at, what, _ in events if what != "visit" and day(DAYS - 40) <= at < date}
    states = held([row for row in events if row[1] < day(DAYS - 40)])
    late = [who for who, state in states.items() if state == "active" and who not in heard][:20]
    frame = frame_of([*events, *((who, day(DAYS - 40), "cancel", None) for who in late)])
    recorded = pd.Series(pd.NaT, index=frame.index).astype("datetime64[ns]")
    recorded.iloc[-len(late) :] = pd.Timestamp(day(DAYS - 10)).tz_localize(None)
    with log_of(frame.assign(recorded_at=recorded)) as log, unevaluated():
        earlier = train(log.con, date, replace(CONFIG, max_dates=1))
        table = DailyTable(log.con, AS_OF)
        later = observed_outcomes(table, earlier.panel, 30)
        predicted = predict(earlier.models, earlier.panel.now)
        who = kind_of("cancellation").churned(
            earlier.panel, earlier.models, predicted, later, quick=True
        )
        table.close()
    asked = set(earlier.panel.now.ids[earlier.panel.now.customer[who.rows]])
    # open as far as one knew, and so scored, but not judged
    assert np.isfinite(predicted.p_cancel).sum() == len(asked) + len(late)
    assert not asked & set(late)
    assert all(len(p) == len(asked) for p in who.predictions.values())


def test_a_cancellation_alone_tells_of_a_contract_before_the_log(tmp_path: Path) -> None:
    rows = [*subscriptions(80), ("former", day(300), "cancel", None)]
    config = replace(CONFIG, max_dates=1)
    done = trained(rows, tmp_path / "model", AS_OF, config, evaluated=False)
    score = done.scores().to_pandas().set_index("customer_id").loc["former"]
    assert score["state"] == "lapsed"
    assert score["p_return"] == pytest.approx(1 - score["p_inactive"])
    assert any("1 cancellations found no contract open" in note for note in done.training.notes)


def test_the_risk_of_who_has_cancelled_is_named_as_that_of_no_order(tmp_path: Path) -> None:
    # members pay once, so that hardly anybody orders again, and a high risk is the average one
    paid: set[str] = set()
    rows = []
    for who, at, what, amount in subscriptions(150):
        if what != "purchase" or who not in paid:
            rows.append((who, at, what, amount))
        paid |= {who} if what == "purchase" else set()
    config = replace(CONFIG, max_dates=1)
    done = trained(rows, tmp_path / "model", AS_OF, config, evaluated=False)
    scored = [s for s in done.scores().to_pylist() if s["state"] == "lapsed"]
    reasons = [r for s in scored for r in s["reasons"] if r["feature"] in ("average", "stage")]
    assert {r["code"] for r in reasons} == {"average.no_order"}
    assert all("of ordering nothing within the horizon" in r["sentence"] for r in reasons)


def test_a_scheme_by_orders_is_named_with_how_many_have_cancelled_on_its_active_stages(
    service: Trained, scores: pd.DataFrame
) -> None:
    states = {stage.id: stage.state for stage in service.training.models.scheme.stages}
    mismatched = (scores["state"] == "lapsed") & (scores["stage"].map(states) == "active")
    assert 0 < mismatched.sum() < len(scores)
    (note,) = (note for note in service.training.notes if "go by orders, not by contract" in note)
    assert f"contract was cancelled, {mismatched.sum():,} stand on a stage of active" in note
    assert note.startswith("The stages of the scheme retail ")
    assert note.endswith("--stages membership goes by contract.")


def test_open_contracts_on_stages_of_the_lapsed_are_named_too(tmp_path: Path) -> None:
    # those who paid in the first month alone, and whose contract is open
    members: list[Row] = []
    for k in range(30):
        members.append((f"y{k:03d}", day(0), "subscribe", None))
        members += [(f"y{k:03d}", day(d), "purchase", 9.0) for d in (0, 7, 14, 21, 28)]
    rows = [*unpaid(subscriptions(150)), *members]
    config = replace(CONFIG, max_dates=1, scheme="retail")
    done = trained(rows, tmp_path / "model", AS_OF, config, evaluated=False)
    states = {stage.id: stage.state for stage in done.training.models.scheme.stages}
    scored = done.scores().to_pylist()
    on_lapsed = sum(s["state"] == "active" and states[s["stage"]] == "lapsed" for s in scored)
    assert on_lapsed >= 30
    (note,) = (note for note in done.training.notes if "go by orders, not by contract" in note)
    assert f"f those whose contract is open, {on_lapsed:,} stand on a stage of lapsed" in note
    assert note.endswith("--stages membership goes by contract.")


def test_a_scheme_by_contract_has_no_such_note(tmp_path: Path) -> None:
    by_contract = replace(CONFIG, max_dates=1, scheme="membership")
    rows = unpaid(subscriptions(150))
    done = trained(rows, tmp_path / "model", AS_OF, by_contract, evaluated=False)
    assert not any("by orders" in note for note in done.training.notes)


def test_where_nobody_has_a_contract_nothing_is_usual(tmp_path: Path) -> None:
    rows: list[Row] = []
    for k in range(120):
        rows += [
            (f"c{k:03d}", day(k % 50), "subscribe", None),
            (f"c{k:03d}", day(k % 50 + 0.1), "purchase", 9.0),
        ]
        rows += [(f"c{k:03d}", day(60 + k % 30), "cancel", None)]
    done = trained(rows, tmp_path / "model", day(100), CONFIG)
    assert (
        any("Nobody had a contract one horizon before" in n for n in done.training.notes)
        or done.training.evaluation
    )
    open_now = CustomerEvents("new", (Event(day(90), "subscribe"), Event(day(90), "purchase", 9.0)))
    (score,) = Scorer(done.reloaded()).score_customers([open_now], day(101)).to_pylist()
    assert score["state"] == "active"
    assert score["reasons"] == []
