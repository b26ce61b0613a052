"""``Lifecycle``: churn, next stage and value of the customers of a log, as one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from stagecast.features.arguments.values import flag
from stagecast.features.arguments.values import path as path_of
from stagecast.features.errors import UsageError
from stagecast.features.frames.instants import Instant
from stagecast.features.frames.tables import by_customer
from stagecast.serving.python.event_log import LogDate
from stagecast.serving.python.lifecycle.estimator import LifecycleParameters
from stagecast.serving.python.lifecycle.logs import (
    as_of_in,
    checked_log,
    covered_as_of,
    own_features_of,
)
from stagecast.serving.python.parameters import config_of, parameters_of
from stagecast.serving.python.words import in_python_words, speaks_python

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from stagecast.features.events import EventLog as CheckedLog
    from stagecast.serving.python.explanation import CustomerExplanation
    from stagecast.serving.scoring.scorer import Scorer
    from stagecast.training.bundle import Bundle, OwnMembersFormat
    from stagecast.training.fitted.evaluation import EvaluationReport
    from stagecast.training.train import Training


class Lifecycle(LifecycleParameters):
    """Model of the lifecycle of customers: churn, next stage, value, and why.

    It learns from one log and scores every customer of a log. Parameters are stored unchanged and
    checked by :meth:`fit`. A score has the columns of ``docs/scores.md``, the same as
    ``stagecast score`` writes.

    Parameters
    ----------
    horizon
        Span that the probabilities speak of, like ``90d`` or ``12w``.
    value_horizon
        Span that ``clv`` speaks of.
    scheme
        Name of a scheme of stages, or path of a TOML file.
    churn
        ``inactivity`` (no purchase within the horizon) or ``cancellation`` (of an open contract).
    contract_start, contract_renewal, contract_end
        Types of events that begin, show and cancel a contract; None: the usual ones.
    discount
        Yearly discount of later money; 0.1 is 10 %.
    margin
        Share of the spend that is earned; with 1, ``clv`` is revenue.
    pins
        Threshold of the scheme -> value that stands fixed, whatever the log says.
    calendar
        Known occasions, past and to come, such as campaigns.
    rfm
        How RFM scores are cut.
    features
        Features of your own, from :func:`stagecast.feature` or :class:`stagecast.Feature`; each may
        use those before it.
    members
        Members of the model of churn: ``btyd``, ``trees`` and ``regression`` with their settings,
        and classifiers of your own (:func:`stagecast.member`). One that is left out is not used.
        None: the usual three.
    spend_members, orders_members
        Regressors of your own (:func:`stagecast.member`) by name, beside our models of the spend
        per order and of the orders of those who order within the horizon. Each gets the share that
        it deserves on rows that it was not fitted on.
    max_dates
        Largest number of past dates to learn from.
    medium_risk, high_risk
        Churn probability from which the band is ``medium`` and ``high``.
    seed
        Seed of all random draws; the same seed gives the same bytes.

    Attributes
    ----------
    bundle_ : Bundle
        The fitted models, as :meth:`save` writes them.
    training_ : Training or None
        What they were fitted on; None where the model was loaded.

    Examples
    --------
    >>> Lifecycle(horizon="30d", margin=0.4)
    Lifecycle(horizon='30d', margin=0.4)
    """

    bundle_: Bundle
    training_: Training | None

    # --- fit, score, explain ----------------------------------------------------------------------

    @speaks_python
    def fit(self, log: CheckedLog | Sequence[LogDate], as_of: Instant | None = None) -> Self:
        """Learn from what was known before the as_of.

        Parameters
        ----------
        log
            What :func:`stagecast.read_events` returns; or, from a search of scikit-learn, dates of
            ``log.dates``, of which the newest is the as_of.
        as_of
            Where the model stands; later events are not used. None: the day after the last event.

        Raises
        ------
        UsageError
            A parameter, the as_of or the horizon cannot be used.
        NotEnoughDataError
            Nobody has bought before the as_of, or no contract was cancelled.
        """
        from stagecast.serving.jobs.training import bundle_of, learn
        from stagecast.serving.reports.summary import card

        if isinstance(log, Sequence) and log and isinstance(log[-1], LogDate):
            newest = max(log, key=lambda date: date.as_of)
            log, as_of = newest.log, newest.as_of
        checked = checked_log(log, "a Lifecycle")
        at = as_of_in(checked, as_of)
        training = learn(
            checked, at, config_of(self.get_params(deep=False), own_features_of(checked))
        )
        self.bundle_ = bundle_of(checked, at, training, card(training))
        self.training_ = training
        self._scores: pa.Table | None = None
        return self

    @speaks_python
    def score(
        self, log: CheckedLog, as_of: Instant | None = None, *, reasons: bool = True
    ) -> pd.DataFrame:
        """Return the score of every customer of a log.

        Parameters
        ----------
        log
            Of the same shop; it may have grown since the model was fitted.
        as_of
            Where the customers stand, not before the as_of of :meth:`fit`, and not more than a
            horizon after the last event. None: the day after the last event.
        reasons
            Whether to compute the reasons, which take most of the time.

        Returns
        -------
        pandas.DataFrame
            Index ``customer_id``, columns as in ``docs/scores.md``; also :attr:`scores` from now
            on.

        Raises
        ------
        UsageError
            The model is not fitted or has learned from events after the as_of, the log ends more
            than a horizon before it, or its amounts or days are not those that the model learned
            from.
        """
        from stagecast.serving.scoring.batch import score_table

        checked = checked_log(log, "a Lifecycle")
        scorer = self._scorer(reasons=flag(reasons, "reasons"))
        at = covered_as_of(checked, as_of, self._fitted().models.config.horizon_days)
        self._scores = score_table(log, scorer, at)
        return self.scores

    @property
    def scores(self) -> pd.DataFrame:
        """The scores of the last :meth:`score`; before any, those at the as_of of :meth:`fit`."""
        return by_customer(self._last_scores())

    @speaks_python
    def evaluate(self) -> EvaluationReport:
        """Return how good the same procedure was one horizon earlier, on what has come since.

        Nothing is fitted: :meth:`fit` has made the evaluation.

        Raises
        ------
        UsageError
            The model is not fitted.
        """
        from stagecast.training.fitted.evaluation import EvaluationReport

        return EvaluationReport.of_card(self._fitted().card)

    @speaks_python
    def explain(self, customer_id: object) -> CustomerExplanation:
        """Return why the risk of one customer of :attr:`scores` is as it is.

        Raises
        ------
        UsageError
            There is no such customer, or no score yet.
        """
        from stagecast.serving.python.explanation import explanation_of

        return explanation_of(self._last_scores(), customer_id)

    @speaks_python
    def importances(self) -> pd.DataFrame:
        """Return how much each member of the churn model uses each feature; see the columns.

        Returns
        -------
        pandas.DataFrame
            ``feature``, ``member``, ``weight`` (of the member in the pool, 0 to 1), ``gain`` (of
            trees: share of the gain of all splits; else NaN), ``effect`` (of regressions: sum of
            the absolute coefficients of the feature's standardised columns; else NaN), and
            ``share`` (of the member's total), the largest share times weight first.
        """
        from stagecast.training.fitted.importances import importances

        return importances(self._fitted().models)

    @property
    def weights(self) -> pd.DataFrame:
        """The weights of all members, ours and your own.

        ``part`` (``churn``, ``orders`` of those who order, ``spend`` per order, each in the
        horizon), ``member`` (``ours`` of orders and spend are the customer base and the trees
        together) and ``weight`` (sum 1 in each part).
        """
        from stagecast.training.fitted.importances import weights

        return weights(self._fitted().models)

    @property
    def btyd(self) -> Mapping[str, Any]:
        """The fitted customer-base models by name, ``mbg_nbd`` and ``pareto_nbd``, and
        ``gamma_gamma`` where the log has amounts; empty where none could be fitted.

        They are those of :class:`stagecast.ModifiedBetaGeo`, :class:`stagecast.ParetoNBD` and
        :class:`stagecast.GammaGamma`, in days. The standard errors of their ``summary`` are those
        of the fit, also in a model that was loaded; they are NaN where an earlier version of
        stagecast wrote it.
        """
        from stagecast.training.fitted.btyd import btyd_models, histories_of, log_covariances

        bundle, training = self._fitted(), self.training_
        buyers = None if training is None else histories_of(training.panel.now)
        covariances = bundle.log_covariances
        if covariances is None and buyers is not None:
            covariances = log_covariances(bundle.models.base, buyers)
        return btyd_models(bundle.models.base, buyers, covariances)

    @property
    def card(self) -> Mapping[str, Any]:
        """The model card: version, dates, settings, evaluation and notes, as plain data."""
        card = self._scorer().card
        return {**card, "notes": [in_python_words(note) for note in card.get("notes", ())]}

    # --- on disk ----------------------------------------------------------------------------------

    @speaks_python
    def save(self, folder: str | Path, own_members: OwnMembersFormat = "refuse") -> Path:
        """Write the model into a new folder, which ``stagecast score`` and ``serve`` take, too.

        Parameters
        ----------
        folder
            It must be new.
        own_members
            ``skops`` writes members of your own with skops, ``refuse`` writes no model that has
            any: they are code, which servers and commands refuse to load.

        Raises
        ------
        UsageError
            The folder exists or cannot be written, the model is not fitted, or has members of your
            own.
        """
        from stagecast.training.bundle import write_bundle

        path = path_of(folder, "folder", "the path of a new folder, like 'shop-model'")
        try:
            write_bundle(path, self._fitted(), own_members)
        except OSError as error:
            raise UsageError(
                f"folder {path} cannot be written: {error.strerror}; give another one"
            ) from error
        return path

    @speaks_python
    def register(self, name: str, *, tracking_uri: str | None = None) -> str:
        """Log the model to MLflow, make it ``challenger`` of a name, and return its version.

        A model that is a version of the name already remains that version.
        :class:`stagecast.Registry` makes a version the champion.

        Parameters
        ----------
        tracking_uri
            MLflow server or file, such as ``sqlite:///mlflow.db``; None: as the settings say.

        Raises
        ------
        UsageError
            The model is not fitted, or MLflow cannot be reached.
        """
        from stagecast.serving.python.registry import register_bundle

        return register_bundle(self._fitted(), name, tracking_uri)

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Self:
        """Return the model of a bundle, with the parameters that it was fitted with."""
        model = cls(**parameters_of(bundle.models.config))
        model.bundle_ = bundle
        model.training_ = None
        model._scores = None
        return model

    # --- for people -------------------------------------------------------------------------------

    def _repr_html_(self) -> str:
        from stagecast.serving.python.lifecycle.html import lifecycle_html

        return lifecycle_html(self)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "bundle_")

    def _fitted(self) -> Bundle:
        if not self.__sklearn_is_fitted__():
            raise UsageError("this Lifecycle is not fitted yet; call fit(log) first")
        return self.bundle_

    def _scorer(self, *, reasons: bool = True) -> Scorer:
        from stagecast.serving.scoring.scorer import Scorer

        return Scorer(self._fitted(), threads=0, with_reasons=reasons)

    @speaks_python
    def _last_scores(self) -> pa.Table:
        scorer = self._scorer()
        if self._scores is None:
            if self.training_ is None:
                raise UsageError(
                    "this model was loaded and has scored nobody yet; call score(log) first"
                )
            # as `stagecast run` scores its own training
            self._scores = scorer.score(self.training_.panel.now, self.training_.data_cutoff)
        return self._scores
