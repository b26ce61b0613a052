"""What is asked of a log, in one value for each job; how it is read is a
:class:`~stagecast.serving.reading.Reading`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stagecast.features.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from stagecast.serving.languages.display import Language
    from stagecast.serving.targeting.plan.terms import Terms
    from stagecast.training.config import TrainConfig
    from stagecast.training.judging.campaign import CampaignCosts

SAMPLE_ON_SPARK = "--sample is a number of customers, and belongs to --engine spark"


@dataclass(frozen=True)
class TrainingRequest:
    """What a training is asked for, and where it is logged.

    Parameters
    ----------
    config
        What is learned.
    track
        Whether the training is logged to MLflow.
    tracking_uri
        MLflow server or file, which must take the training; None: that of the settings, and a
        training that it does not take stands without it.
    register
        Offer the bundle in MLflow as challenger of the registered model of this name.
    sample
        Customers to train on, of a log on Spark; None: 200,000.

    Raises
    ------
    UsageError
        A bundle that is not tracked cannot be registered; a sample has one customer or more.
    """

    config: TrainConfig
    track: bool = False
    tracking_uri: str | None = None
    register: str | None = None
    sample: int | None = None

    def __post_init__(self) -> None:
        if self.register is not None and not self.track:
            raise UsageError("--register needs MLflow: leave --no-track out")
        if self.sample is not None and self.sample < 1:
            raise UsageError(SAMPLE_ON_SPARK)


@dataclass(frozen=True)
class RunRequest:
    """What a run is asked for: check, train, score and report in one go.

    Parameters
    ----------
    training
        What is learned.
    out
        Folder that appears when all is done.
    force
        Replace the run that stands there.
    publish
        Write the scores to the store, too.
    store
        SQLAlchemy URL, or the path of an SQLite file; None: as the settings say.
    next_steps
        Commands that the report names at its end.
    language
        Of the report: ``en``, ``ru`` or ``fa``.
    """

    training: TrainingRequest
    out: Path
    force: bool = False
    publish: bool = False
    store: str | None = None
    next_steps: tuple[str, ...] = ()
    language: Language = "en"


@dataclass(frozen=True)
class ScoringRequest:
    """What a scoring is asked for.

    Parameters
    ----------
    model
        Folder of a bundle, or ``models:/NAME@ALIAS`` of MLflow.
    out
        File to write, ``.parquet`` or ``.csv``; without an ending, a folder of parts with which an
        interrupted scoring goes on.
    reasons
        Say of each customer what speaks for and against; takes most of the time.
    publish
        Write the scores to the store, too.
    store
        SQLAlchemy URL, or the path of an SQLite file; None: as the settings say.
    tracking_uri
        MLflow server or file of a ``models:/``; None: as the settings say.
    """

    model: str
    out: Path
    reasons: bool = True
    publish: bool = False
    store: str | None = None
    tracking_uri: str | None = None


@dataclass(frozen=True)
class PlanRequest:
    """What a plan is asked for.

    Parameters
    ----------
    name
        What it is called; None: it is worked out and not stored.
    terms
        Whom, how many or for how much, at what cost, with what effect.
    owner
        Whose plan it is.
    starts_at
        Start of the window in which orders count; None: the as_of of the scores.
    replace
        Replace a draft of the same name.
    effects
        ``assumed``, or ``learned`` from the closed plans of the store; None: learned where any of
        them shows an effect, else assumed. What the terms state of an effect is used in any case.
    store
        SQLAlchemy URL, or the path of an SQLite file; None: as the settings say.
    """

    name: str | None
    terms: Terms
    owner: str = ""
    starts_at: datetime | None = None
    replace: bool = False
    effects: str | None = None
    store: str | None = None


@dataclass(frozen=True)
class StagesRequest:
    """Which stages are asked for; at least one of the three.

    Parameters
    ----------
    out
        File for the stage of each customer, ``.parquet`` or ``.csv``.
    history
        File for every spell on a stage, ``.parquet`` or ``.csv``.
    explain
        Id of a customer whose stages are explained.
    """

    out: Path | None = None
    history: Path | None = None
    explain: str | None = None


@dataclass(frozen=True)
class MovementRequest:
    """What a report of how customers move is asked for.

    Parameters
    ----------
    out
        Folder that appears when all is done.
    period
        ``week``, ``month`` or ``quarter``; None: what suits the length of the log.
    flow_from, flow_to
        Dates of the flow diagram; None: 90 days before, and the as_of.
    before_after
        Instant before and after which sales, repeat orders, cost and stages are compared; None:
        nothing is compared.
    cost_events
        Types of events whose amount is what serving the customer cost; none: ``cost``.
    publish
        Write the comparison to the store, where there is one, for the page of results.
    store
        SQLAlchemy URL, or the path of an SQLite file; None: as the settings say.
    force
        Replace the report that stands there.
    language
        Of the page: ``en``, ``ru`` or ``fa``.
    """

    out: Path
    period: str | None = None
    flow_from: datetime | None = None
    flow_to: datetime | None = None
    before_after: datetime | None = None
    cost_events: tuple[str, ...] = ()
    publish: bool = False
    store: str | None = None
    force: bool = False
    language: Language = "en"


@dataclass(frozen=True)
class LeadsRequest:
    """What a ranking of leads is asked for.

    Parameters
    ----------
    out
        File to write, ``.parquet`` or ``.csv``.
    horizon_days
        Length of the span that ``p_convert`` speaks of, in days.
    points
        TOML file of points; None: those of the package.
    learn
        File for points that are suggested from the log; None: none are.
    mql, sql
        What makes a lead qualified for marketing and for sales, such as ``20``, ``best:200``,
        ``share:20%`` or ``conversion:10%``; None: as the points say.
    ends_lead
        Types of events that end a lead, such as ``lost``, in small letters.
    """

    out: Path
    horizon_days: int = 90
    points: Path | None = None
    learn: Path | None = None
    mql: str | None = None
    sql: str | None = None
    ends_lead: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChannelsRequest:
    """What a table of channels is asked for.

    Parameters
    ----------
    by
        ``channel``, or a column of the table of customers.
    model
        Folder of a bundle, or ``models:/NAME@ALIAS``, by which customers are scored; None: they are
        not, or ``scores`` has their scores.
    scores
        Scores of the log, ``.parquet`` or ``.csv``, instead of a model.
    spend
        File of costs of acquisition, ``.csv`` or ``.parquet``: ``by``, ``from``, ``to``, ``cost``.
    cost_events
        Types of events whose amount is such a cost, by their channel; none: ``ad_cost``.
    margin
        Share of the spend that is earned; None: that of the model, and 1 without one.
    period
        Of the cohorts: ``week``, ``month`` or ``quarter``; None: by the length of the log.
    out
        File to write, ``.parquet`` or ``.csv``; None: none is.
    publish
        Write the table to the store, beside the scores that were published last.
    store, tracking_uri
        As for :class:`ScoringRequest`.
    """

    by: str = "channel"
    model: str | None = None
    scores: Path | None = None
    spend: Path | None = None
    cost_events: tuple[str, ...] = ()
    margin: float | None = None
    period: str | None = None
    out: Path | None = None
    publish: bool = False
    store: str | None = None
    tracking_uri: str | None = None


@dataclass(frozen=True)
class WhatIfRequest:
    """What the value of customers is worked out for.

    Parameters
    ----------
    model
        Folder of a bundle, or ``models:/NAME@ALIAS``.
    churn, basket
        Changes as shares; None: not changed.
    second_order
        Change of the median time to the second order, in days; None: not changed. Where nothing is
        named, the changes are those of :data:`stagecast.serving.jobs.what_if.USUAL`.
    by
        ``stage`` or ``state``, whose values are told too; None: all customers alone.
    tracking_uri
        As for :class:`ScoringRequest`.
    """

    model: str
    churn: float | None = None
    second_order: float | None = None
    basket: float | None = None
    by: str | None = None
    tracking_uri: str | None = None


@dataclass(frozen=True)
class ReplayPlan:
    """Which past dates are replayed, by the command line and by Python alike.

    Parameters
    ----------
    dates
        Past dates to replay, at most.
    step_days
        Days from one date to the next; None: the horizon.
    costs
        What is known of the campaign that the expected maximum profit is of.
    """

    dates: int = 4
    step_days: int | None = None
    costs: CampaignCosts | None = None


@dataclass(frozen=True)
class BacktestRequest:
    """What a backtest is asked for.

    Parameters
    ----------
    out
        Folder that appears when all is done.
    dates
        Past dates to replay, at most.
    step_days
        Days from one date to the next; None: the horizon.
    force
        Replace the backtest that stands there.
    clv, incentive_cost, contact_cost
        Of the campaign that the expected maximum profit is of; None: taken from the log.
    """

    out: Path
    dates: int = ReplayPlan.dates
    step_days: int | None = ReplayPlan.step_days
    force: bool = False
    clv: float | None = None
    incentive_cost: float | None = None
    contact_cost: float | None = None

    @property
    def plan(self) -> ReplayPlan:
        """Which dates are replayed."""
        from stagecast.training.judging.campaign import CampaignCosts

        costs = CampaignCosts(self.clv, self.incentive_cost, self.contact_cost)
        return ReplayPlan(self.dates, self.step_days, costs)


@dataclass(frozen=True)
class MonitorRequest:
    """What watching a model is asked for.

    Parameters
    ----------
    model
        Folder of a bundle, or ``models:/NAME@ALIAS``.
    out
        Folder that appears when all is done; None: nothing is written.
    force
        Replace what was written there before.
    max_age_days
        Age at which the model is to be retrained; None: two horizons.
    store, tracking_uri
        As for :class:`ScoringRequest`; the store is looked at if it is there.
    """

    model: str
    out: Path | None = None
    force: bool = False
    max_age_days: int | None = None
    store: str | None = None
    tracking_uri: str | None = None


@dataclass(frozen=True)
class ErasureRequest:
    """Whom to erase, and where.

    Parameters
    ----------
    customer_id
        As it stands in the log.
    events
        Logs to remove the customer's records from.
    customer
        Column or expression of the customer's id in them; None: ``customer_id``.
    run_folders
        Folders of runs.
    store, tracking_uri
        The store of published scores, and MLflow's; None: as the settings say, if it is there.
    encoding, separator
        Of logs that are text; None: the header tells the separator.
    include_malformed
        Remove malformed lines that name the customer, too.
    header_line
        Line of logs that are text that names the columns, counted from 1.
    """

    customer_id: str
    events: tuple[str, ...] = ()
    customer: str | None = None
    run_folders: tuple[Path, ...] = ()
    store: str | None = None
    tracking_uri: str | None = None
    encoding: str = "utf-8"
    separator: str | None = None
    include_malformed: bool = False
    header_line: int = 1
