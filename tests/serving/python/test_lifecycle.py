"""``Lifecycle``: parameters, scores, evaluation, explanations, and models on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

import stagecast as sc
from stagecast.features.errors import UsageError
from stagecast.serving.python.parameters import config_of, parameters_of
from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.config import TrainConfig
from tests.serving.calling import Stagecast
from tests.serving.conftest import stagecast  # noqa: F401
from tests.training.made import Trained, frame_of, simulated_rows

LATER = "2022-01-15"  # later than the training


def test_parameters_are_kept_as_they_were_given() -> None:
    from sklearn.base import clone

    model = sc.Lifecycle(horizon="12w", margin=0.4, contract_end=None)
    assert repr(model) == "Lifecycle(horizon='12w', margin=0.4)"
    assert repr(clone(model)) == repr(model)
    assert model.set_params(margin=1.0).get_params()["horizon"] == "12w"
    with pytest.raises(UsageError, match="Did you mean 'horizon'"):
        model.set_params(horizn="30d")


def test_defaults_are_those_of_the_command_line() -> None:
    from stagecast.features.catalog.own import OwnFeatures

    assert config_of(sc.Lifecycle().get_params(), OwnFeatures()) == TrainConfig()
    chosen = sc.Lifecycle(
        horizon="30d", churn="cancellation", contract_end=["stop"], pins={"at_risk_ratio": 2.0}
    )
    config = config_of(chosen.get_params(), OwnFeatures())
    assert sc.Lifecycle(**parameters_of(config)).get_params() == chosen.get_params()


def test_a_model_that_is_not_fitted_says_so(log: sc.EventLog) -> None:
    model = sc.Lifecycle()
    for call in (lambda: model.score(log), model.evaluate, lambda: model.btyd, model.importances):
        with pytest.raises(UsageError, match=r"call fit\(log\) first"):
            call()
    with pytest.raises(UsageError, match="takes an EventLog, not a DataFrame"):
        model.fit(pd.DataFrame())  # type: ignore[arg-type]


@pytest.mark.slow
def test_scores_are_those_of_the_command_to_the_last_bit(
    model: sc.Lifecycle,
    log: sc.EventLog,
    stagecast: Stagecast,  # noqa: F811
    tmp_path: Path,
) -> None:
    frame_of(simulated_rows(1_200, 730, seed=1)).to_csv("log.csv", index=False)
    folder = model.save("model")
    done = stagecast(
        *("score", "log.csv", "--duplicates", "keep", "--as-of", LATER),
        *("--model", folder, "--out", "scores.parquet"),
    )
    assert done.code == 0, done.err
    written = pd.read_parquet(tmp_path / "scores.parquet").set_index("customer_id")
    for scorer in (model, sc.load("model")):
        scores = scorer.score(log, LATER)
        assert list(scores.columns) == list(written.columns)
        pd.testing.assert_frame_equal(
            scores.drop(columns=["reasons", "clv_by_year"]),
            written.drop(columns=["reasons", "clv_by_year"]),
            check_exact=True,
        )
        assert scores["reasons"].map(str).equals(written["reasons"].map(str))
        assert scores["clv_by_year"].map(str).equals(written["clv_by_year"].map(str))
        assert scorer.scores.equals(scores)


def test_scores_after_a_fit_are_those_at_its_as_of(model: sc.Lifecycle, shop: Trained) -> None:
    expected = Scorer(shop.bundle, threads=0).score(
        shop.training.panel.now, shop.training.data_cutoff
    )
    assert model.scores["clv"].tolist() == expected["clv"].to_pylist()
    with pytest.raises(UsageError, match=r"call score\(log\) first"):
        sc.load(shop.folder).explain("c00001")


def test_a_date_before_the_training_is_refused(model: sc.Lifecycle, log: sc.EventLog) -> None:
    with pytest.raises(UsageError, match="learned from what came after") as raised:
        model.score(log, "2021-06-01")
    assert "as_of='2021-06-01'" in str(raised.value)


def test_a_date_more_than_a_horizon_after_the_log_is_refused(
    model: sc.Lifecycle, log: sc.EventLog
) -> None:
    last = pd.Timestamp(log.last_event).normalize()
    assert len(model.score(log, last + pd.Timedelta("90D"), reasons=False))
    for call in (
        lambda at: model.score(log, at),
        lambda at: sc.plot.customer(model, log, at, customer_id="c00001"),
    ):
        with pytest.raises(UsageError, match=r"longer than the horizon of 90 days: newer ev") as e:
            call(last + pd.Timedelta("92D"))
        assert f"or as_of should be near {last:%Y-%m-%d}" in str(e.value)
        assert "--" not in str(e.value)
    assert len(model.scores)  # those of before


def test_effects_add_up_to_the_log_odds_of_the_risk(model: sc.Lifecycle) -> None:
    scores = model.scores
    active = scores.index[(scores["state"] == "active") & scores["risk_base"].notna()][:40]
    assert len(active) == 40
    for customer in active:
        why = model.explain(customer)
        assert why.log_odds == pytest.approx(logit(scores.loc[customer, "p_inactive"]), abs=1e-6)
    assert why.reasons["sentence"].iloc[0] in repr(why)
    assert "raises the risk" in repr(model.explain(scores["churn_probability"].idxmax()))
    with pytest.raises(UsageError, match="has no score"):
        model.explain("nobody")


def test_importances_divide_each_member(model: sc.Lifecycle, shop: Trained) -> None:
    table = model.importances()
    churn = shop.bundle.models.churn
    by_member = table.groupby("member")
    assert by_member["weight"].first().to_dict() == pytest.approx(dict(churn.weights))
    np.testing.assert_allclose(by_member["share"].sum(), 1.0)
    assert (table["weight"] * table["share"]).is_monotonic_decreasing
    trees = table[table["member"] == "trees"].set_index("feature")["gain"]
    assert churn.trees is not None
    gains = dict(zip(churn.trees.columns, churn.trees.gains(), strict=True))
    best = max(gains, key=lambda name: gains[name])
    assert trees.idxmax() == best
    assert trees[best] == pytest.approx(gains[best] / sum(gains.values()))


def test_the_evaluation_is_that_of_the_training(model: sc.Lifecycle, shop: Trained) -> None:
    truth = shop.training.evaluation
    assert truth is not None
    for report in (model.evaluate(), sc.load(shop.folder).evaluate()):
        ours = report.summary.loc[("churn", truth.models[0].label)]
        assert ours["log_loss"] == truth.models[0].log_loss
        assert ours["auc"] == truth.models[0].auc
        assert report.grade == truth.grade
        assert report.against["difference"].tolist() == [
            item.difference for item in (truth.active.against if truth.active else ())
        ]
        assert len(repr(report)) < 200
        assert truth.grade_sentence.split(".")[0] in report._repr_html_()


def test_what_is_printed_is_short(model: sc.Lifecycle, shop: Trained, log: sc.EventLog) -> None:
    for thing in (shop.training, shop.bundle, Scorer(shop.bundle), shop.training.panel, log, model):
        assert len(repr(thing)) < 250, type(thing)
    assert shop.bundle.model_version in model._repr_html_()
    assert "not fitted" in sc.Lifecycle()._repr_html_()


def test_customer_base_models_are_those_that_stand_alone(
    model: sc.Lifecycle, log: sc.EventLog
) -> None:
    assert model.training_ is not None
    X = log.features(model.training_.panel.as_of)
    alone = sc.ParetoNBD().fit(X)
    in_pool = model.btyd["pareto_nbd"]
    assert isinstance(in_pool, sc.ParetoNBD)
    pd.testing.assert_frame_equal(in_pool.summary, alone.summary, rtol=0.02)
    assert in_pool.log_likelihood_ == pytest.approx(alone.log_likelihood_, rel=1e-6)
    np.testing.assert_allclose(in_pool.p_alive(X), alone.p_alive(X), atol=1e-3)
    assert np.isfinite(model.btyd["gamma_gamma"].summary.to_numpy()).all()


def test_a_loaded_model_has_the_standard_errors_of_the_fit(tmp_path: Path) -> None:
    with sc.read_events(frame_of(simulated_rows(150, 300, seed=1)), duplicates="keep") as log:
        fitted = sc.Lifecycle(max_dates=1).fit(log)
    loaded = sc.load(fitted.save(tmp_path / "model"))
    assert set(loaded.btyd) == {"mbg_nbd", "pareto_nbd", "gamma_gamma"}
    for name, alone in loaded.btyd.items():
        assert np.isfinite(alone.summary.to_numpy()).all(), name
        pd.testing.assert_frame_equal(alone.summary, fitted.btyd[name].summary, check_exact=True)
    # and so has one that is saved again, of the same version
    again = sc.load(loaded.save(tmp_path / "again"))
    assert again.bundle_.model_version == fitted.bundle_.model_version
    pd.testing.assert_frame_equal(
        again.btyd["mbg_nbd"].summary, fitted.btyd["mbg_nbd"].summary, check_exact=True
    )


def test_a_loaded_model_of_an_earlier_version_draws_its_customer_base_without_standard_errors(
    shop: Trained, log: sc.EventLog
) -> None:
    loaded = sc.load(shop.folder)
    assert loaded.bundle_.log_covariances is None  # as it was written before bundles had them
    summary = loaded.btyd["pareto_nbd"].summary
    assert summary["estimate"].notna().all()
    assert summary["standard_error"].isna().all()
    customer = log.features()["orders"].idxmax()
    for chart in (
        sc.plot.alive_matrix(loaded),
        sc.plot.frequency_recency(loaded),
        sc.plot.tracking(loaded, log),
        sc.plot.customer(loaded, log, customer_id=customer),
    ):
        assert chart.to_dict()["datasets"]


def test_customer_base_models_have_their_names(model: sc.Lifecycle, shop: Trained) -> None:
    base = shop.bundle.models.base
    assert base is not None
    assert set(model.btyd) == {*(fitted.name for fitted in base.models), "gamma_gamma"}
    assert model.card["model_version"] == shop.bundle.model_version
