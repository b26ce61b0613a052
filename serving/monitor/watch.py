"""A model watched on a log, from the log and the store to one result."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from stagecast.features.arguments.values import shown
from stagecast.features.clock import DAY, iso, parse_instant
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import NotEnoughDataError, UsageError
from stagecast.features.events import EventLog
from stagecast.features.frames.instants import Instant, as_datetime
from stagecast.serving.monitor.faulty import log_faults
from stagecast.serving.monitor.pictures import (
    Picture,
    as_long_before,
    feature_columns,
    picture,
    score_columns,
    try_picture,
    year_before,
)
from stagecast.serving.monitor.result import ComparedDates, FaultLine, Monitoring, Tested
from stagecast.serving.monitor.truth import (
    PublishedRun,
    SettledLine,
    checked_scores,
    newest_run,
    settled_lines,
)
from stagecast.serving.monitor.windows import (
    PURCHASE,
    EventDays,
    Windows,
    event_days,
    event_rows,
    purchase_amounts,
    unknown_share,
    windows_of,
)
from stagecast.serving.progress import Say, silent
from stagecast.serving.scoring.batch import check_as_of, check_days, check_money
from stagecast.serving.scoring.scorer import Scorer, load_scorer
from stagecast.training.bundle import Bundle
from stagecast.training.judging.evaluation_result import OURS
from stagecast.training.monitoring.advice import advice
from stagecast.training.monitoring.distances import independent_rows
from stagecast.training.monitoring.estimated import estimated_quality
from stagecast.training.monitoring.faults import Fault, shorter_history
from stagecast.training.monitoring.movement import Dates, Label, Movement, movements

if TYPE_CHECKING:
    import sqlalchemy as sa

STEPS = 4
MOST_REFUSED = 0.01


class Fitted(Protocol):
    """A model that holds the bundle of its training, as ``sc.Lifecycle`` does."""

    @property
    def bundle_(self) -> Bundle | None: ...


def monitor(
    model: Bundle | Scorer | Fitted | str | Path,
    log: EventLog,
    as_of: Instant | None = None,
    *,
    store: sa.Engine | str | None = None,
    max_age_days: int | None = None,
    say: Say = silent,
) -> Monitoring:
    """Watch a model on a log: what its scores said against what came, what moved, what to do.

    Parameters
    ----------
    model
        A fitted ``Lifecycle``, a bundle, its folder, or a scorer.
    log
        The log, from before the training up to the as_of or later.
    as_of
        Where we stand; nothing at or after it is looked at. None: the day after the last event.
    store
        Store of published runs, or its URL; those whose horizon is over are settled in it. None:
        published runs are not looked at.
    max_age_days
        Age at which the model is to be retrained; None: two horizons.
    say
        Called with the name of each step as it begins.

    Raises
    ------
    UsageError
        The as_of is before that of the training, or the log is in another currency or zone.
    NotEnoughDataError
        No event stands before the as_of.

    Examples
    --------
    >>> import stagecast as sc
    >>> result = sc.monitor("demo-model", log)  # doctest: +SKIP
    >>> result.advice.action  # doctest: +SKIP
    'keep'
    """
    scorer = _scorer(model)
    bundle = scorer.bundle
    if isinstance(as_of, str):
        as_of = parse_instant(as_of, "as_of").replace(tzinfo=None)
    elif as_of is not None:
        as_of = as_datetime(as_of)
    if max_age_days is not None and max_age_days < 1:
        raise UsageError(f"the model's age of {max_age_days} days must be 1 or more")
    now_at, trained = log.choose_as_of(as_of), log.clock.shop(bundle.as_of)
    check_as_of(bundle, now_at)
    check_money(bundle, log)
    check_days(bundle, log)
    config, notes = bundle.models.config, list(_refused(log))
    horizon = timedelta(days=config.horizon_days)

    say("scores against what came")
    published, last_run = _published(store, log, now_at)
    settled_at = now_at - horizon if now_at - horizon >= trained else None
    past = None if settled_at is None else _scored(log, scorer, settled_at)
    training = _scored(log, scorer, trained)
    check = None
    if past is not None:
        same_days = try_picture(log, scorer, year_before(log, past.as_of))
        check = checked_scores(log, bundle, past, now_at, training, same_days)
    checked, lines = (None, []) if check is None else check

    say("customers now, at the training and before")
    now = picture(log, scorer, now_at, score=True)
    features: tuple[Movement, ...] = ()
    scores: tuple[Movement, ...] = ()
    year_at = year_before(log, now_at)
    before_at = as_long_before(log, trained, now_at)
    if training is None:
        notes.append(
            f"What moved in features and scores cannot be said: this log has nothing before the "
            f"training's as_of {iso(trained)}. Give a log that begins before it."
        )
    elif now_at - trained >= DAY:
        settled_past = past if checked is not None and checked.holds else None
        year_ago, before = (try_picture(log, scorer, date) for date in (year_at, before_at))
        features = movements(feature_columns(scorer, training, now, year_ago, before, settled_past))
        scores = movements(score_columns(training, now, settled_past, has_amounts=log.has_amounts))

    say("events by day")
    days = event_days(log, trained, now_at)
    windows = windows_of(days, config.horizon_days)
    if windows is None:
        notes.append(
            "Rates of events are not compared: it takes two weeks before the training and two "
            "after it."
        )
    faults, sentences = log_faults(log, trained, now_at, days)
    history = [_shorter(log, bundle, last_run)]
    shorter = [fault for fault in history if fault is not None]
    faults, sentences = [*faults, *shorter], [*sentences, *(f.sentence for f in shorter)]

    say("what to do")
    age_days = (now_at - trained) / DAY
    return Monitoring(
        as_of=iso(now_at),
        model_version=bundle.model_version,
        trained_as_of=iso(trained),
        horizon_days=config.horizon_days,
        age_days=age_days,
        currency=log.report.currency,
        advice=advice(
            *(faults, sentences, checked, age_days, config.horizon_days, features, scores),
            max_age_days,
            config.churn,
        ),
        faults=tuple(_fault_lines(faults, sentences, days)),
        settled=(*published, *lines),
        tested=_tested(bundle),
        checked=checked,
        estimated=estimated_quality(_risk(now)),
        dates=ComparedDates(
            training=iso(trained),
            as_of=iso(now_at),
            year_ago=None if year_at is None else iso(year_at),
            before=None if before_at is None else iso(before_at),
            settled=None if checked is None else checked.as_of,
            window_days=None if windows is None else windows.days,
        ),
        customers_before=None if training is None else training.customers,
        customers=now.customers,
        active_before=None if training is None else training.active,
        active=now.active,
        unknown_share=None if windows is None else unknown_share(days, windows),
        events=() if windows is None else event_rows(days, windows),
        amounts=None if windows is None else _amounts(log, trained, now_at, days, windows),
        features=features,
        scores=scores,
        notes=tuple(notes),
        churn=config.churn,
    )


def _scorer(model: Bundle | Scorer | Fitted | str | Path) -> Scorer:
    if isinstance(model, str | Path):
        return load_scorer(Path(model), threads=0, with_reasons=False)
    own_bundle = getattr(model, "bundle", getattr(model, "bundle_", None))
    bundle = model if isinstance(model, Bundle) else own_bundle
    if not isinstance(bundle, Bundle):
        raise UsageError(
            f"model = {shown(model)}: monitor takes a fitted Lifecycle, a bundle, its folder or a "
            "scorer"
        )
    return Scorer(bundle, threads=0, with_reasons=False)


def _published(
    store: sa.Engine | str | None, log: EventLog, as_of: datetime
) -> tuple[list[SettledLine], PublishedRun | None]:
    if store is None:
        return [], None
    from stagecast.serving.settings import store_url
    from stagecast.serving.store.opening import open_engine

    engine = open_engine(store_url(store)) if isinstance(store, str) else store
    try:
        return settled_lines(engine, log, as_of), newest_run(engine, log.clock.instant(as_of))
    finally:
        if isinstance(store, str):
            engine.dispose()


def _scored(log: EventLog, scorer: Scorer, as_of: datetime) -> Picture | None:
    try:
        return picture(log, scorer, as_of, score=True)
    except NotEnoughDataError:
        return None


def _risk(now: Picture) -> Any:
    if now.scores is None:
        return np.zeros(0)
    return now.scores["churn_probability"].to_numpy(zero_copy_only=False).astype(np.float64)


def _amounts(
    log: EventLog, trained: datetime, as_of: datetime, days: EventDays, windows: Windows
) -> Movement | None:
    """Return how far the amounts of purchases moved between the windows.

    Orders of a customer are alike, so the sizes are what they are worth at the least.
    """
    if not log.has_amounts:
        return None
    day, customer, amount = purchase_amounts(log, trained, as_of, days, windows.before.start)
    masks = [
        (day >= window.start) & (day < window.stop) for window in (windows.before, windows.now)
    ]
    if not all(mask.any() for mask in masks):
        return None
    sizes = [independent_rows(np.unique(customer[m], return_counts=True)[1]) for m in masks]
    label = Label("amount", "money", f"amount of a {PURCHASE}")
    dates = Dates(amount[masks[0]], amount[masks[1]], sizes=(sizes[0], sizes[1]))
    moved = movements([(label, dates)])
    return moved[0] if moved else None


def _tested(bundle: Bundle) -> Tested | None:
    """Return the quality of the active that the card of a training has."""
    evaluation = bundle.card.get("evaluation") or {}
    active = evaluation.get("active")
    if not active:
        return None
    ours = next((m for m in active["models"] if m["name"] == OURS), None)
    if ours is None:
        return None
    return Tested(
        evaluation["as_of"][:10],
        int(active["customers"]),
        float(active["base_rate"]),
        *(ours[name] for name in ("log_loss", "auc", "brier")),
    )


def _shorter(log: EventLog, bundle: Bundle, run: PublishedRun | None) -> Fault | None:
    """Return that customers whom the training, or the newest run, counted are no longer there."""
    if run is not None:
        customers = _customers_at(log, run.as_of, buyers=False)
        date = iso(log.clock.shop(run.as_of))
        if fault := shorter_history(run.customers, customers, date, "the published run"):
            return fault
    evaluation = bundle.card.get("evaluation")
    if not evaluation or bundle.models.config.churn == "cancellation":
        return None
    at = parse_instant(evaluation["as_of"])
    return shorter_history(
        int(evaluation["customers"]),
        _customers_at(log, at, buyers=True),
        iso(log.clock.shop(at)),
        "the training",
    )


def _customers_at(log: EventLog, at: datetime, *, buyers: bool) -> int:
    try:
        table = DailyTable(log.con, log.clock.shop(at))
    except NotEnoughDataError:
        return 0
    try:
        return len(np.unique(table.purchase_days().customer)) if buyers else len(table.customers)
    finally:
        table.close()


def _fault_lines(
    faults: Sequence[Fault], sentences: Sequence[str], days: EventDays
) -> list[FaultLine]:
    return [
        FaultLine(
            fault.kind,
            fault.subject,
            None if fault.since is None else days.date(fault.since),
            sentence,
        )
        for fault, sentence in zip(faults, sentences, strict=True)
    ]


def _refused(log: EventLog) -> list[str]:
    report = log.report
    if report.rows_rejected <= MOST_REFUSED * report.rows_in:
        return []
    reasons = sorted(report.rejected_by_reason.items(), key=lambda item: -item[1])
    reason, rows = reasons[0]
    return [
        f"{report.rows_rejected:,} of {report.rows_in:,} rows of the log were refused, most as "
        f"'{reason}' ({rows:,}): `stagecast check` names them."
    ]
