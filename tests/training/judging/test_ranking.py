"""Whether customers can be told apart: by the spread of their risks, and by the later period."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.serving.http.routes.pages import _not_ranked
from stagecast.serving.scoring.scorer import Scorer
from stagecast.training.judging.evaluation_result import ActiveFigures, ChurnFigures, Evaluation
from stagecast.training.judging.ranking import NEGLIGIBLE, SMALL, ranking
from tests.training.made import Trained


def risks(spread: float, customers: int = 1_000) -> Array:
    """Return risks whose log odds have this standard deviation."""
    odds = np.random.default_rng(1).normal(0.4, 1.0, customers)
    return np.asarray(expit(spread * (odds - odds.mean()) / odds.std() + 0.4))


def evaluation_of(auc: float | None, customers: int = 200) -> Evaluation:
    """Return an evaluation of which the AUC of the active matters."""
    ours = ChurnFigures("stagecast", "stagecast", 0.6, auc, 0.2, 0.02, 1.0)
    active = ActiveFigures(customers, 0.5, (ours,), ())
    return Evaluation(
        as_of="2020-01-01",
        until="2020-03-01",
        customers=customers,
        base_rate=0.5,
        models=(ours,),
        calibration=(),
        gains=(),
        next_stage=(),
        conversion=None,
        spend=None,
        coverage=None,
        grade="C",
        grade_sentence="",
        active=active,
    )


@pytest.mark.parametrize(
    ("spread", "auc", "told_apart"),
    [
        (1e-4, 0.9, False),
        (0.9 * NEGLIGIBLE, None, False),
        (1.1 * NEGLIGIBLE, None, True),
        # standard error of the AUC of a lottery among 100 and 100: .041
        (1.1 * NEGLIGIBLE, 0.57, False),
        (1.1 * NEGLIGIBLE, 0.59, True),
        (0.9 * SMALL, 0.47, False),
        (1.1 * SMALL, 0.47, True),
    ],
)
def test_a_small_spread_has_to_rank_and_a_negligible_one_cannot(
    spread: float, auc: float | None, told_apart: bool
) -> None:
    result = ranking(risks(spread), evaluation_of(auc))
    assert result.told_apart == told_apart
    assert result.spread == pytest.approx(spread)
    assert (result.sentence is None) == told_apart


def test_without_a_later_period_only_the_spread_counts() -> None:
    assert not ranking(risks(0.9 * NEGLIGIBLE), None).told_apart
    assert ranking(risks(1.1 * NEGLIGIBLE), None).told_apart


def test_the_sentence_names_customers_and_risks() -> None:
    alike = ranking(np.full(45, 0.6), None).sentence
    assert alike is not None
    assert alike.startswith("The 45 active customers cannot be told apart: the risk of all of them")
    assert "is 60.0%," in alike
    sample = ranking(np.r_[np.full(20, 0.67), np.full(20, 0.68)], None).sentence
    assert sample is not None
    assert "67.0% to 68.0%" in sample
    # 38 % to 77 % is no small difference: what speaks against the order is that it did not rank
    wide = ranking(risks(0.9 * SMALL), evaluation_of(0.47)).sentence
    assert wide is not None
    assert "no better than one drawn by lot" in wide
    assert "that small" not in wide


def test_nobody_and_one_alone_need_no_ranking() -> None:
    assert ranking(np.zeros(0), None).told_apart
    assert ranking(np.array([0.5]), None).told_apart


def test_scores_have_no_percentile_and_the_page_says_so(shop: Trained) -> None:
    training, bundle = shop.training, shop.reloaded()
    active = shop.scores().to_pandas()["state"] == "active"
    alike_card = {"told_apart": False, "spread": 0.0, "sentence": "alike"}
    alike = Scorer(replace(bundle, card={**bundle.card, "ranking": alike_card}), with_reasons=False)
    rows = alike.score(training.panel.now, training.data_cutoff).to_pandas()
    assert rows["churn_percentile"].isna().all()
    assert rows.loc[active, "churn_probability"].notna().all()
    assert _not_ranked({"churn_probability": 0.6, "churn_percentile": None})
    assert not _not_ranked({"churn_probability": None, "churn_percentile": None})
    # a bundle of an earlier version has no such field
    plain = {name: value for name, value in bundle.card.items() if name != "ranking"}
    before = Scorer(replace(bundle, card=plain), with_reasons=False)
    ranked = before.score(training.panel.now, training.data_cutoff).to_pandas()
    assert ranked.loc[active, "churn_percentile"].notna().all()
