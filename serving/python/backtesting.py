"""``backtest``: models, classifiers and baselines compared at past dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagecast.features.arguments.values import flag, number, refuse, texts, whole_number
from stagecast.features.arguments.values import path as path_of
from stagecast.features.errors import UsageError
from stagecast.features.frames.instants import Instant, Span, as_days
from stagecast.serving.python.event_log import LogDate
from stagecast.serving.python.lifecycle import Lifecycle
from stagecast.serving.python.lifecycle.logs import as_of_in, checked_log, own_features_of
from stagecast.serving.python.parameters import config_of
from stagecast.serving.python.words import in_python_words, speaks_python
from stagecast.serving.requests import ReplayPlan
from stagecast.training.fitted.backtest import BacktestReport

if TYPE_CHECKING:
    from stagecast.features.events import EventLog as CheckedLog
    from stagecast.serving.jobs.backtest import Replayed
    from stagecast.serving.python.event_log import EventLog
    from stagecast.training.config import TrainConfig


class Backtest(BacktestReport):
    """How methods did at past dates; :func:`stagecast.backtest` makes one.

    See :class:`~stagecast.training.fitted.backtest.BacktestReport` for its tables.
    """

    replayed: Replayed

    @classmethod
    def of_replayed(cls, replayed: Replayed, value: Mapping[str, Any], ours: str) -> Backtest:
        """Return the tables of a backtest whose first model has the name ``ours``."""
        from stagecast.training.judging.evaluation_result import OURS

        predictions = replayed.predictions.to_pandas().set_index(["customer_id", "as_of"])
        names = {f"{part}_{OURS}": f"{part}_{ours}" for part in ("p_inactive", "expected_spend")}
        report = cls(replayed.backtest.verdict, value, predictions.rename(columns=names), ours)
        object.__setattr__(report, "replayed", replayed)
        return report

    @property
    def notes(self) -> tuple[str, ...]:
        """What was asked for and the log did not have, such as fewer dates, windows that overlap,
        methods that a date lacks, and a season ahead that no window has; empty where there is
        nothing to say.
        """
        return tuple(in_python_words(note) for note in self.replayed.backtest.notes)

    @speaks_python
    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write the folder that ``stagecast backtest`` writes: JSON, page, and predictions.

        Parameters
        ----------
        force
            Replace the backtest that the folder holds.
        """
        from stagecast.serving.jobs.backtest import write_files
        from stagecast.serving.runs.files import OF_A_BACKTEST
        from stagecast.serving.runs.folders import new_folder

        path = path_of(folder, "folder", "the path of a folder, like 'backtest'")
        with new_folder(path, OF_A_BACKTEST, force=flag(force, "force")) as draft:
            write_files(self.replayed, draft)
        return path


@speaks_python
def backtest(
    log: EventLog,
    methods: Lifecycle | Mapping[str, Any],
    *,
    dates: int = 4,
    horizon: Span | None = None,
    step: Span | None = None,
    as_of: Instant | None = None,
    baselines: str | Sequence[str] | None = None,
    clv: float | None = None,
    incentive_cost: float | None = None,
    contact_cost: float | None = None,
) -> Backtest:
    """Replay past dates: fit every method on what was known then, and compare what it said with
    what came.

    Parameters
    ----------
    log
        What :func:`stagecast.read_events` returns.
    methods
        Name -> method; or one ``Lifecycle``. A :class:`~stagecast.Lifecycle` is refitted from its
        parameters at each date, and not changed; the first is ours, with which the others are
        compared. Any scikit-learn classifier with ``predict_proba`` is cloned and fitted at each
        date on the rows that ours learns from: the features and outcomes (1: no purchase within the
        horizon) of the buyers at the past dates whose horizons ended before it.
    dates
        Number of past dates at most; the history may allow fewer.
    horizon
        Span that is predicted; None: that of the first model.
    step
        From one date to the next; None: the horizon, so that no purchase is counted twice.
    as_of
        Outcomes are known up to here. None: the day after the last event.
    baselines
        Names of the built-in baselines to compare with, such as ``average`` and ``pareto_nbd``;
        None: all.
    clv, incentive_cost, contact_cost
        Worth of a customer who is kept, cost of an offer that is accepted, and of a contact, for
        the expected maximum profit ``empc``. None: what those who stayed spent in the horizon, 5 %
        of it, and the cost at which contacting everybody earns nothing.

    Raises
    ------
    UsageError
        There is no ``Lifecycle`` among the methods, a method cannot be compared, fitted or asked
        for probabilities, or an argument cannot be used.
    NotEnoughDataError
        No date has a horizon of history before it and one after it.

    Examples
    --------
    >>> import stagecast as sc
    >>> sc.backtest(None, {"mine": sc.RfmLogistic()})
    Traceback (most recent call last):
    ...
    stagecast.features.errors.UsageError: methods has no Lifecycle to compare with: add one, like \
{'stagecast': sc.Lifecycle()}
    """
    from stagecast.serving.jobs.backtest import replay_log, values_of
    from stagecast.training.judging.campaign import CampaignCosts
    from stagecast.training.judging.rivals import Rivals

    if not isinstance(methods, Lifecycle | Mapping):
        refuse(methods, "methods", "a Lifecycle, or methods by name, like {'mine': sc.Lifecycle()}")
    named = {"stagecast": methods} if isinstance(methods, Lifecycle) else dict(methods)
    ours = next((name for name, method in named.items() if isinstance(method, Lifecycle)), None)
    if ours is None:
        raise UsageError(
            "methods has no Lifecycle to compare with: add one, like {'stagecast': sc.Lifecycle()}"
        )
    give = "the number of past dates, like 4; as_of= and step= say where they stand"
    dates = whole_number(dates, "dates", give, least=1)
    names = "names of baselines, like ['average']"
    chosen = None if baselines is None else texts(baselines, "baselines", names)
    costs = CampaignCosts(
        *(
            None if cost is None else number(cost, name, "money, like 20", least=0)
            for name, cost in (
                ("clv", clv),
                ("incentive_cost", incentive_cost),
                ("contact_cost", contact_cost),
            )
        )
    )
    checked = checked_log(log, "sc.backtest")
    configs = {
        name: _config(method, checked, horizon)
        for name, method in named.items()
        if isinstance(method, Lifecycle)
    }
    rivals = Rivals(
        models={name: config for name, config in configs.items() if name != ours},
        classifiers={
            name: method for name, method in named.items() if not isinstance(method, Lifecycle)
        },
        baselines=chosen,
    )
    plan = ReplayPlan(dates, None if step is None else as_days(step, "step"), costs)
    at = as_of_in(checked, as_of)
    replayed = replay_log(log, at, configs[ours], plan, rivals=rivals)
    value = {} if replayed.backtest.value is None else {ours: replayed.backtest.value}
    if value:
        value |= values_of(log, at, rivals.models)
    return Backtest.of_replayed(replayed, value, ours)


@speaks_python
def neg_churn_log_loss(model: Lifecycle, dates: Sequence[LogDate], y: None = None) -> float:
    """Return how well a fitted model predicts churn at later dates: ``scoring`` of a search.

    Minus the log loss (nats) of P(no purchase within the horizon), over the buyers of each date and
    then over the dates; higher is better.

    Parameters
    ----------
    model
        Fitted at a date before, or at, each of the dates.
    dates
        What :meth:`stagecast.EventLog.dates` returns; their horizons are over when the log ends.
    y
        Not used: outcomes are those of the log.

    Raises
    ------
    UsageError
        Churn is a cancellation, the model has learned from events after a date, or its horizon is
        not over.
    """
    import numpy as np

    from stagecast.training.learners.metrics import log_loss

    if not isinstance(model, Lifecycle):
        refuse(model, "model", "a fitted Lifecycle")
    if not isinstance(dates, Sequence) or not all(isinstance(date, LogDate) for date in dates):
        refuse(dates, "dates", "dates of a log, like log.dates(['2011-03-01', '2011-06-01'])")
    if model.churn != "inactivity":
        raise UsageError("neg_churn_log_loss is of churn='inactivity', not of cancellations")
    losses = []
    for date in dates:
        left = date.log.snapshots(date.as_of, model.horizon).y.droplevel("as_of")
        said = model.score(date.log, date.as_of, reasons=False)["p_inactive"]
        losses.append(log_loss(left.to_numpy() == 1, said[left.index].to_numpy()))
    return -float(np.mean(losses))


def _config(model: Lifecycle, log: CheckedLog, horizon: Span | None) -> TrainConfig:
    parameters = model.get_params(deep=False)
    if horizon is not None:
        parameters = {**parameters, "horizon": horizon}
    return config_of(parameters, own_features_of(log))
