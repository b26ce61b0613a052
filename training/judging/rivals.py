"""Methods of the user that a backtest compares with ours: other settings, and classifiers.

    panel of a date -> X, y of its past dates -> classifier -> P(no purchase) of the buyers now

A classifier learns from exactly the rows that ours learns from: the past dates of the panel,
whose horizons ended before the date. It is cloned for each date, so none sees a later one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from stagecast.features.arrays import Array
from stagecast.features.clock import iso
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import UsageError
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import TrainConfig
from stagecast.training.fitting import fit_models
from stagecast.training.judging.evaluate import (
    next_stage_figures,
    next_stage_losses,
    observed_outcomes,
)
from stagecast.training.judging.evaluation_result import OURS, StageFigures, StageLosses
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.panel import Frame, Panel, build

SHARED = ("horizon_days", "churn", "terms", "zone", "known_at_start", "own")
"""Settings in which all models of one backtest agree, so that they predict the same of the same."""


@dataclass(frozen=True)
class Rivals:
    """What is compared beside our first model and the built-in baselines.

    Parameters
    ----------
    models
        Name -> settings of another model.
    classifiers
        Name -> scikit-learn classifier of 1 (no purchase within the horizon) against 0.
    baselines
        Names of the built-in baselines to compare with; None: all of them.
    """

    models: Mapping[str, TrainConfig]
    classifiers: Mapping[str, Any]
    baselines: Sequence[str] | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Name -> label: methods of the user are called what the user calls them."""
        return {name: name for name in (*self.models, *self.classifiers)}

    def check(self, config: TrainConfig) -> None:
        """Refuse what cannot be compared with a model of these settings.

        Raises
        ------
        UsageError
            There is nothing to compare with, a model predicts something else, a classifier cannot
            say a probability, a name is that of a baseline, or there is no such baseline.
        """
        known = kind_of(config.churn).baseline_labels
        if self.baselines is not None and not self.baselines and not self.labels:
            raise UsageError(
                "baselines = [] leaves nothing to compare with; name one or more of "
                f"{', '.join(sorted(known))}, leave baselines out, or add a method"
            )
        for name in self.baselines or ():
            if name not in known:
                raise UsageError(
                    f"baselines: there is no {name!r}; there are {', '.join(sorted(known))}"
                )
        for name in self.labels:
            if name in known or name == OURS:
                raise UsageError(
                    f"methods: {name!r} is the name of a built-in method; call yours differently"
                )
        for name, other in self.models.items():
            for setting in SHARED:
                if getattr(other, setting) != getattr(config, setting):
                    raise UsageError(
                        f"methods[{name!r}] has {setting} = {getattr(other, setting)!r} and the "
                        f"first model {getattr(config, setting)!r}: models that predict different "
                        "things cannot be compared; make them agree"
                    )
        if self.classifiers and config.churn != "inactivity":
            raise UsageError(
                f"methods[{next(iter(self.classifiers))!r}] is a classifier of buyers; where churn "
                "is a cancellation, compare Lifecycle models and the built-in baselines"
            )
        for name, classifier in self.classifiers.items():
            if not all(hasattr(classifier, call) for call in ("fit", "predict_proba")):
                raise UsageError(
                    f"methods[{name!r}] is a {type(classifier).__name__} without fit and "
                    "predict_proba; give a scikit-learn classifier, such as "
                    "make_pipeline(SimpleImputer(), LogisticRegression()), or a Lifecycle"
                )


@dataclass(frozen=True)
class RivalPredictions:
    """Predictions of the methods of the user at one date, by name, shape (n_customers,) each.

    Those of spend and stages are of models alone, of stages where the scheme has the same ones.
    """

    p_inactive: Mapping[str, Array]
    expected_spend: Mapping[str, Array]
    next_stage: tuple[StageFigures, ...]
    stage_losses: Mapping[str, StageLosses]


def predict_rivals(
    rivals: Rivals,
    panel: Panel,
    table: DailyTable,
    after: DailyTable,
    customers: Sequence[str],
    fitted: dict[datetime, CustomerBase],
) -> RivalPredictions:
    """Fit the methods of the user at one date, and predict the customers who could leave.

    A classifier is left out at a date before which all left, or none.

    Parameters
    ----------
    panel
        Panel of the date, of our first model.
    table, after
        What was known at the date, and one horizon later, which models are judged by.
    customers
        Ids of the customers to predict, in this order.
    fitted
        Cache of customer-base models by date.

    Raises
    ------
    UsageError
        A classifier cannot be fitted or does not predict.
    """
    p_inactive: dict[str, Array] = {}
    spend: dict[str, Array] = {}
    stages: list[StageFigures] = []
    losses: dict[str, StageLosses] = {}
    for name, config in rivals.models.items():
        own = build(table, config, fitted=fitted)
        models, predicted = fit_models(
            own, table.purchase_days(), config, table.has_amounts(), with_reference=False
        )
        later = observed_outcomes(after, own, config.horizon_days)
        kind = kind_of(config.churn)
        churned = kind.churned(own, models, predicted, later, quick=True)
        ids = [str(own.now.ids[row]) for row in own.now.customer[churned.rows]]
        position = {customer: k for k, customer in enumerate(ids)}
        order = np.array([position[customer] for customer in customers], dtype=np.int64)
        p_inactive[name] = churned.ours[order]
        if models.value.mean_spend is not None and kind.predicts_money:
            spend[name] = predicted.expected_spend[churned.rows[order]]
        if [stage.id for stage in own.scheme.stages] == [s.id for s in panel.scheme.stages]:
            ours = next_stage_figures(own, models, predicted, later)[0]
            stages.append(StageFigures(name, name, ours.log_loss, ours.calibration_error))
            losses[name] = next_stage_losses(own, models, predicted, later)
    if rivals.classifiers and panel.dates:
        X, y = stacked(panel)
        now = rows_now(panel, customers, list(X.columns))
        for name, classifier in rivals.classifiers.items():
            if y.nunique() == 2:
                p_inactive[name] = _probability(name, classifier, X, y, now, panel)
    return RivalPredictions(p_inactive, spend, tuple(stages), losses)


def stacked(panel: Panel) -> tuple[pd.DataFrame, pd.Series]:
    """Return the rows of all past dates of a panel: features, and 1 where nothing was bought.

    The index is ``customer_id`` and ``as_of``; null is NaN. The columns are the features that the
    catalogue offers to models, as of ``log.snapshots``, without those that are null in every row:
    they teach nothing, and neither imputers nor trees of scikit-learn take them.
    """
    frames = sorted(panel.dates, key=lambda frame: frame.as_of)
    names = [
        name
        for name in panel.catalog.predictors
        if all(name in frame.columns for frame in frames) and name in panel.now.features
    ]
    X = pd.concat([_rows(panel, frame, names) for frame in frames]).dropna(axis=1, how="all")
    y = np.concatenate([frame.inactive for frame in frames]).astype(np.int64)
    return X, pd.Series(y, index=X.index, name="inactive")


def rows_now(panel: Panel, customers: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """Return these features of these customers at the as_of of a panel."""
    ids = panel.now.ids[panel.now.customer]
    frame = pd.DataFrame({name: panel.now.features[name] for name in names}, index=ids)
    frame = frame.loc[list(customers)]
    frame.index = _index(np.asarray(customers), panel.as_of)
    return frame


def _rows(panel: Panel, frame: Frame, names: Sequence[str]) -> pd.DataFrame:
    index = _index(panel.now.ids[frame.customer], frame.as_of)
    return pd.DataFrame({name: np.asarray(frame.columns[name]) for name in names}, index=index)


def _index(ids: Any, as_of: datetime) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([ids, [as_of] * len(ids)], names=["customer_id", "as_of"])


def _probability(
    name: str, classifier: Any, X: pd.DataFrame, y: pd.Series, now: pd.DataFrame, panel: Panel
) -> Array:
    from sklearn.base import clone

    try:
        model = clone(classifier).fit(X, y)
        p = np.asarray(model.predict_proba(now), dtype=np.float64)
        p = p[:, list(model.classes_).index(1)]
    except Exception as error:
        # whatever an estimator raises: say which, at what date, and what it was fed
        empty = [str(column) for column in X.columns if X[column].isna().any()]
        columns = ", ".join(empty[:6]) + (" and others" if len(empty) > 6 else "")
        hint = (
            f"; X has NaN in {columns}, which it may not take: put SimpleImputer() before it in a "
            "pipeline"
            if empty
            else ""
        )
        raise UsageError(
            f"methods[{name!r}] failed as of {iso(panel.as_of)[:10]} on {len(X):,} rows of "
            f"{X.shape[1]} features: {str(error).splitlines()[0] if str(error) else error!r}{hint}"
        ) from error
    outside = ~(np.isfinite(p) & (p >= 0) & (p <= 1))
    if p.shape != (len(now),) or outside.any():
        raise UsageError(
            f"methods[{name!r}] says probabilities outside 0 to 1 as of {iso(panel.as_of)[:10]}, "
            f"for {int(outside.sum()):,} of {len(now):,} customers; mend its predict_proba"
        )
    return p
