"""``backtest``: classifiers, models and baselines on the same dates, as tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

import stagecast as sc
from stagecast.features.errors import UsageError
from tests.few_draws import few_draws
from tests.training.made import frame_of, simulated_rows

AT = "2021-12-01"


class Recorder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that says the share, and writes down the rows that it was fitted on."""

    fits: list[tuple[pd.DataFrame, pd.Series]] = []  # noqa: RUF012

    def fit(self, X: pd.DataFrame, y: pd.Series) -> Recorder:
        self.fits.append((X, y))
        self.classes_ = np.array([0, 1])
        self.share_ = float(y.mean())
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return np.tile([1 - self.share_, self.share_], (len(X), 1))


@pytest.fixture(scope="module")
def small() -> sc.EventLog:
    return sc.read_events(frame_of(simulated_rows(300, 500, seed=3)), duplicates="keep")


@pytest.fixture(scope="module")
def result(small: sc.EventLog) -> Iterator[sc.Backtest]:
    Recorder.fits.clear()
    methods = {
        "ours": sc.Lifecycle(max_dates=2),
        "recorder": Recorder(),
        "rfm": sc.RfmLogistic(),
        "again": sc.Lifecycle(max_dates=2),
    }
    with few_draws():
        yield sc.backtest(small, methods, dates=2, horizon="60d", baselines=["share", "recency"])


@pytest.mark.slow
def test_a_result_says_what_the_log_did_not_have(result: sc.Backtest) -> None:
    assert result.notes == ()


@pytest.mark.slow
def test_a_classifier_learns_only_from_dates_whose_horizons_are_over(
    result: sc.Backtest, small: sc.EventLog
) -> None:
    dates = result.by_date.index.get_level_values("as_of").unique()
    assert len(Recorder.fits) == len(dates) == 2
    for (X, y), date in zip(Recorder.fits, dates, strict=True):
        as_ofs = X.index.get_level_values("as_of").unique()
        assert (as_ofs + pd.Timedelta(days=60)).max() == date
        # the outcomes are those of an independent count
        truth = small.snapshots(list(as_ofs), horizon="60d").y
        assert y.index.get_level_values(0).tolist() == truth.index.get_level_values(0).tolist()
        assert y.tolist() == truth.tolist()


@pytest.mark.slow
def test_figures_are_those_of_the_predictions(result: sc.Backtest) -> None:
    p = result.predictions
    for method in ("ours", "recorder", "rfm", "share"):
        said = np.clip(p[f"p_inactive_{method}"], 1e-6, 1 - 1e-6)
        loss = -np.where(p["inactive"], np.log(said), np.log1p(-said))
        by_date = pd.Series(loss, p.index).groupby("as_of").mean()
        assert result.summary.loc[("churn", method), "log_loss"] == pytest.approx(by_date.mean())
        np.testing.assert_allclose(
            result.by_date.xs(method, level="method")["log_loss"], by_date, rtol=1e-9
        )
        if method == "rfm":
            rows = result.by_segment.loc[("churn", "tenure")]
            part = p["tenure"] == rows.index[0]
            assert rows["rows"].iloc[0] == part.sum()
    # the same settings twice are the same model, and no difference from itself
    again = result.summary.loc[("churn", "again")]
    assert again[["difference", "difference_low", "difference_high"]].abs().max() == 0
    assert result.summary.loc[("next stage", "again"), "difference"] == 0
    assert set(result.summary.index.get_level_values("part")) >= {"churn", "spend", "next stage"}


@pytest.mark.slow
def test_it_is_short_in_print_and_a_folder_on_disk(result: sc.Backtest, tmp_path: Path) -> None:
    assert repr(result).startswith(f"BacktestReport(grade {result.grade}, 2 dates ")
    assert len(repr(result)) < 300
    assert "<table" in result._repr_html_()
    folder = result.save(tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == {
        "backtest.json",
        "backtest.html",
        "predictions.parquet",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"a": DummyClassifier()}, "no Lifecycle"),
        ({"a": sc.Lifecycle(), "b": object()}, r"methods\['b'\] is a object without fit"),
        ({"a": sc.Lifecycle(), "share": DummyClassifier()}, "'share' is the name of a built-in"),
        ({"a": sc.Lifecycle(), "b": sc.Lifecycle(horizon="30d")}, "horizon_days = 30"),
        ({"a": sc.Lifecycle(max_dates=1), "b": LogisticRegression()}, "SimpleImputer"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    small: sc.EventLog, methods: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        sc.backtest(small, methods, dates=1, baselines=["share"])


def test_a_baseline_that_is_none_is_refused(small: sc.EventLog) -> None:
    with pytest.raises(UsageError, match="there is no 'pareto'; there are average"):
        sc.backtest(small, sc.Lifecycle(), baselines=["pareto"])


@pytest.mark.slow
def test_a_model_alone_is_compared_with_nothing(small: sc.EventLog) -> None:
    with pytest.raises(UsageError, match=r"baselines = \[\] leaves nothing to compare with; name"):
        sc.backtest(small, {"ours": sc.Lifecycle()}, baselines=[])


def test_a_search_over_dates_judges_by_what_came_later(small: sc.EventLog) -> None:
    end = pd.Timestamp(small.choose_as_of(None))
    dates = [end - pd.Timedelta(days=days) for days in (180, 120, 60)]
    search = GridSearchCV(
        sc.Lifecycle(horizon="60d", max_dates=1, members={"trees": sc.Trees(n_estimators=60)}),
        {"members__trees__leaves": [2, 16]},
        cv=TimeSeriesSplit(2, max_train_size=1),
        scoring=sc.neg_churn_log_loss,
        error_score="raise",
    ).fit(small.dates(dates))
    # the first fold by hand: fitted at the first date, judged at the second
    alone = sc.Lifecycle(
        horizon="60d", max_dates=1, members={"trees": sc.Trees(leaves=2, n_estimators=60)}
    ).fit(small, as_of=dates[0])
    left = small.snapshots(dates[1], "60d").y.droplevel("as_of")
    said = alone.score(small, dates[1], reasons=False)["p_inactive"].reindex(left.index)
    loss = -np.where(left == 1, np.log(said), np.log1p(-said)).mean()
    assert search.cv_results_["split0_test_score"][0] == pytest.approx(-loss)
    assert len(set(search.cv_results_["mean_test_score"])) == 2
    best = search.best_estimator_
    chosen = search.best_params_["members__trees__leaves"]
    assert best.get_params()["members__trees__leaves"] == chosen
    stands_at = pd.to_datetime(best.scores["as_of"], utc=True).unique()
    assert stands_at == dates[2]


@pytest.mark.slow
def test_a_search_refuses_to_judge_what_was_learned_from(small: sc.EventLog) -> None:
    end = pd.Timestamp(small.choose_as_of(None))
    early, late = small.dates([end - pd.Timedelta(days=120), end - pd.Timedelta(days=60)])
    model = sc.Lifecycle(horizon="60d", max_dates=1).fit([late])
    with pytest.raises(UsageError, match="learned"):
        sc.neg_churn_log_loss(model, [early])
    with pytest.raises(UsageError, match="in order of time"):
        small.dates([late.as_of, early.as_of])
    with pytest.raises(UsageError, match="not of cancellations"):
        sc.neg_churn_log_loss(sc.Lifecycle(churn="cancellation"), [late])
