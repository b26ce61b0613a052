"""Features and members of one's own as parameters of a ``Lifecycle``."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.base import clone
from sklearn.naive_bayes import GaussianNB

import stagecast as sc
from stagecast.features.catalog.own import OwnFeatures
from stagecast.features.errors import UsageError
from stagecast.serving.python.parameters import config_of, parameters_of
from tests.training.made import Trained


@sc.feature(unit="ratio")
def basket_trend(f: Any) -> Any:
    """Spend of 90 days over that of the 90 before."""
    return f.spend_90d / f.spend_prev_90d


def test_parameters_come_back_from_the_settings() -> None:
    members = {"trees": sc.Trees(leaves=8), "mine": sc.member(GaussianNB())}
    model = sc.Lifecycle(features=[basket_trend], members=members)
    assert repr(model) == (
        "Lifecycle(features=[Feature(basket_trend = spend_90d / spend_prev_90d, ratio)], "
        "members={'trees': Trees(leaves=8), 'mine': member(GaussianNB())})"
    )
    assert model.get_params()["members"] is members
    copy = clone(model)
    assert repr(copy) == repr(model)
    assert copy.members is not None
    assert copy.members["mine"].estimator is not members["mine"].estimator  # type: ignore[attr-defined]
    config = config_of(model.get_params(), OwnFeatures())
    assert config.own.features == (basket_trend.in_catalog(),)
    assert repr(sc.Lifecycle(**parameters_of(config))) == repr(model)
    # a log that has the feature in its own configuration does not count it twice
    assert config_of(model.get_params(), config.own) == config


def test_wrong_parameters_are_refused_before_anything_is_learned(log: sc.EventLog) -> None:
    unknown = sc.Feature(name="half", unit="days", formula="recency_dayz / 2")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"features": [unknown]}, "no feature before it.*Did you mean 'recency_days'"),
        ({"features": [basket_trend, basket_trend]}, "stands twice"),
        ({"members": {"mine": GaussianNB()}}, r"sc.member\(classifier\)"),
        ({"members": {"mine": sc.member(GaussianNB())}, "churn": "cancellation"}, "leave members"),
    ]
    for parameters, reason in wrong:
        with pytest.raises(UsageError, match=reason):
            sc.Lifecycle(**parameters).fit(log)


def test_the_evaluation_judges_each_member(shop: Trained) -> None:
    evaluation = shop.training.evaluation
    assert evaluation is not None
    table = sc.load(shop.folder).evaluate().by_member
    assert table["log_loss"].to_dict() == {m.name: m.log_loss for m in evaluation.members}
    assert len(table) > 1
    # the pool is a mean of the log odds of its members, in which the log loss is convex
    assert evaluation.models[0].log_loss <= table["log_loss"].max()
