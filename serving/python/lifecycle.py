"""``Lifecycle``: churn, next stage and value of the customers of a log, as one model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.frames.instants import Instant, Span, as_datetime
from stagecast.features.frames.tables import by_customer
from stagecast.serving.python.event_log import EventLog, LogDate
from stagecast.serving.python.parameters import (
    POOLS,
    config_of,
    nested,
    parameters_of,
    with_nested,
)
from stagecast.serving.python.words import speaks_python

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from stagecast.features.catalog.python_feature import OwnFeature
    from stagecast.features.events import EventLog as CheckedLog
    from stagecast.serving.python.explanation import CustomerExplanation
    from stagecast.serving.scoring.scorer import Scorer
    from stagecast.training.bundle import Bundle, OwnMembersFormat
    from stagecast.training.calendar import Calendar
    from stagecast.training.config import Churn
    from stagecast.training.fitted.evaluation import EvaluationReport
    from stagecast.training.reference.rfm_settings import RfmSettings
    from stagecast.training.train import Training


class Lifecycle:
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

    def __init__(
        self,
        *,
        horizon: Span = "90d",
        value_horizon: Span = "365d",
        scheme: str = "retail",
        churn: Churn = "inactivity",
        contract_start: Sequence[str] | str | None = None,
        contract_renewal: Sequence[str] | str | None = None,
        contract_end: Sequence[str] | str | None = None,
        discount: float = 0.10,
        margin: float = 1.0,
        pins: Mapping[str, float] | None = None,
        calendar: Calendar | None = None,
        rfm: RfmSettings | None = None,
        features: Sequence[OwnFeature] | None = None,
        members: Mapping[str, Any] | None = None,
        spend_members: Mapping[str, Any] | None = None,
        orders_members: Mapping[str, Any] | None = None,
        max_dates: int = 8,
        medium_risk: float = 1 / 3,
        high_risk: float = 2 / 3,
        seed: int = 20110901,
    ) -> None:
        self.horizon = horizon
        self.value_horizon = value_horizon
        self.scheme = scheme
        self.churn = churn
        self.contract_start = contract_start
        self.contract_renewal = contract_renewal
        self.contract_end = contract_end
        self.discount = discount
        self.margin = margin
        self.pins = pins
        self.calendar = calendar
        self.rfm = rfm
        self.features = features
        self.members = members
        self.spend_members = spend_members
        self.orders_members = orders_members
        self.max_dates = max_dates
        self.medium_risk = medium_risk
        self.high_risk = high_risk
        self.seed = seed

    # --- parameters, in scikit-learn's ways -------------------------------------------------------

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = inspect.signature(cls.__init__).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, as they were given.

        Parameters
        ----------
        deep
            Whether to add the members and their settings by names such as
            ``members__trees__leaves``; where ``members`` is None, those of the usual three.
        """
        parameters = {name: getattr(self, name) for name in self._defaults()}
        return parameters | nested(parameters) if deep else parameters

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters; what was fitted stays as it is until the next :meth:`fit`.

        ``members__trees__leaves=8`` sets one setting of a member, ``members__trees=None`` leaves
        the member out. Neither changes the dict and the members that were handed over.

        Raises
        ------
        UsageError
            There is no such parameter.

        Examples
        --------
        >>> Lifecycle().set_params(members__btyd=None, members__trees__leaves=8)
        Lifecycle(members={'trees': Trees(leaves=8), 'regression': Regression()})
        """
        known = self._defaults()
        # whole parameters first, and a member before its settings
        for name in sorted(parameters, key=lambda name: name.count("__")):
            value = parameters[name]
            if name.split("__")[0] in POOLS and "__" in name:
                new = with_nested(self.get_params(deep=False), name, value)
            elif name in known:
                new = {name: value}
            else:
                raise UsageError(
                    f"Lifecycle has no parameter {name!r}.{did_you_mean(name, known)} "
                    f"It has: {', '.join(known)}"
                )
            for argument, changed in new.items():
                setattr(self, argument, changed)
        return self

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
        at = _at(log, as_of)
        checked = cast("CheckedLog", log)  # _at refuses everything else
        training = learn(checked, at, config_of(self.get_params(deep=False), _own(checked)))
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
            Where the customers stand, not before the as_of of :meth:`fit`. None: the day after the
            last event.
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
            The model is not fitted or has learned from events after the as_of, or the amounts or
            days of the log are not those that it learned from.
        """
        from stagecast.serving.scoring.batch import score_table

        self._scores = score_table(log, self._scorer(reasons=reasons), _at(log, as_of))
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
        :class:`stagecast.GammaGamma`, in days. Standard errors of their ``summary`` need the
        customers of the fit: in a model that was loaded they are NaN.
        """
        from stagecast.training.fitted.btyd import btyd_models

        bundle = self._fitted()
        if self.training_ is None:
            return btyd_models(bundle.models.base)
        now = self.training_.panel.now
        buyers = {name: values[now.buyers] for name, values in now.features.items()}
        return btyd_models(bundle.models.base, buyers)

    @property
    def card(self) -> Mapping[str, Any]:
        """The model card: version, dates, settings, evaluation and notes, as plain data."""
        return self._scorer().card

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
            The folder exists, the model is not fitted, or has members of your own.
        """
        from stagecast.training.bundle import write_bundle

        path = Path(folder)
        write_bundle(path, self._fitted(), own_members)
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
        import tempfile

        from stagecast.serving.settings import keep_mlflow_quiet, load_settings
        from stagecast.training.bundle import write_bundle

        bundle = self._fitted()
        keep_mlflow_quiet()  # before MLflow is imported
        from stagecast.training.promotion.registry import Registry

        uri = load_settings(tracking_uri=tracking_uri).tracking_uri
        with tempfile.TemporaryDirectory(prefix="stagecast-") as place:
            folder = Path(place) / "model"
            write_bundle(folder, bundle)
            return Registry(name, uri).register(folder)

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Self:
        """Return the model of a bundle, with the parameters that it was fitted with."""
        model = cls(**parameters_of(bundle.models.config))
        model.bundle_ = bundle
        model.training_ = None
        model._scores = None
        return model

    # --- for people -------------------------------------------------------------------------------

    def __repr__(self) -> str:
        defaults = self._defaults()
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params(deep=False).items()
            if value is not defaults[name] and value != defaults[name]
        ]
        return f"Lifecycle({', '.join(changed)})"

    def _repr_html_(self) -> str:
        from stagecast.serving.python.lifecycle_html import lifecycle_html

        return lifecycle_html(self)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))

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


@speaks_python
def load(
    model: str | Path,
    *,
    tracking_uri: str | None = None,
    allow_own_members: bool | Sequence[str] = False,
) -> Lifecycle:
    """Load a model that was saved, trained by the command line, or registered in MLflow.

    Parameters
    ----------
    model
        Folder of a bundle, or ``models:/NAME@ALIAS``.
    tracking_uri
        MLflow server or file of a ``models:/``; None: as the settings say.
    allow_own_members
        Whether members that the model's author wrote may be loaded. They are code: allow them only
        where you trust the author. True trusts classes of scikit-learn, SciPy and NumPy; a list
        names further classes.

    Raises
    ------
    UsageError
        There is no such model.
    DataRefusedError
        A file of it is missing or was changed.
    """
    from stagecast.serving.runs.models import model_folder
    from stagecast.serving.settings import load_settings
    from stagecast.training.bundle import load_bundle

    folder = model_folder(str(model), load_settings(tracking_uri=tracking_uri))
    return Lifecycle.of_bundle(load_bundle(folder, allow_own_members))


def _at(log: object, as_of: Instant | None) -> Any:
    from stagecast.features.events import EventLog as CheckedLog

    if not isinstance(log, CheckedLog):
        raise UsageError(
            f"a Lifecycle takes an EventLog, not a {type(log).__name__}; "
            "read it first: log = sc.read_events(...)"
        )
    return log.choose_as_of(None if as_of is None else as_datetime(as_of))


def _own(log: CheckedLog) -> Any:
    from stagecast.features.catalog.own import OwnFeatures

    return log.reading.own if isinstance(log, EventLog) else OwnFeatures()
