"""Summary of a run: read by the report, the terminal and ``--json``; and the card of its bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import pyarrow as pa

from stagecast.features.arrays import Array
from stagecast.features.clock import iso
from stagecast.features.stages.scheme_files import scheme_to_json
from stagecast.serving.reports.columns import numbers
from stagecast.training.bundle import Bundle
from stagecast.training.card import Blend, Card
from stagecast.training.churn_kinds import kind_of
from stagecast.training.config import Churn
from stagecast.training.judging.evaluation_result import Evaluation
from stagecast.training.judging.ranking import Ranking, nobody_leaves
from stagecast.training.reference.rfm import RfmScales
from stagecast.training.train import Training

LEAST_TENURE_DAYS = 30.0
"""A younger customer's spend of a year counts as that of so many days."""
DAYS_PER_YEAR = 365.0


@dataclass(frozen=True)
class SchemeSummary:
    """The stages of a run.

    Parameters
    ----------
    id
        Name of the scheme.
    title
        Language -> title.
    stages
        As in the file of the scheme, in the order of the file.
    thresholds
        Name -> threshold derived from the log; None where it is infinite.
    assumed
        Those that are no fact of the log, because it has too few gaps.
    plays
        As in the file of the scheme.
    """

    id: str
    title: Mapping[str, str]
    stages: Sequence[Mapping[str, Any]]
    thresholds: Mapping[str, float | None]
    assumed: Sequence[str]
    plays: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Summary:
    """Summary of a run; the order of the fields is that of the keys of ``stagecast run --json``.

    Parameters
    ----------
    title
        Of the report.
    as_of, data_cutoff
        Instant of the scores and of the last event before it, ISO 8601, UTC.
    horizon_days, value_horizon_days
        Days that probabilities and customer value look ahead.
    model_version
        Hash of what predicts.
    method, method_note
        What the churn probabilities come from, and a phrase that explains it.
    churn
        What leaving is.
    log
        The data report as plain JSON; see :class:`stagecast.features.intake.report.DataReport`.
    scheme
        The stages.
    evaluation, blend, notes, horizon_note
        See :class:`stagecast.training.card.Card`.
    next_steps
        Commands to run next.
    ranking
        See :class:`stagecast.training.card.Card`.
    rfm
        Scales of the RFM scores.
    findings
        What stands out in the log, what changes numbers first; see
        :mod:`stagecast.serving.runs.findings`.
    """

    title: str
    as_of: str
    horizon_days: int
    value_horizon_days: int
    data_cutoff: str
    model_version: str
    method: str
    method_note: str
    churn: Churn
    log: Mapping[str, Any]
    scheme: SchemeSummary
    evaluation: Evaluation | None
    blend: Blend | None
    notes: tuple[str, ...]
    horizon_note: str | None
    next_steps: tuple[str, ...]
    ranking: Ranking | None = None
    rfm: RfmScales | None = None
    findings: tuple[str, ...] = ()

    @property
    def not_ranked(self) -> str | None:
        """Why the active customers are not ranked; None where they are."""
        return None if self.ranking is None else self.ranking.sentence


def card(training: Training) -> Card:
    """Return the card of a training: its evaluation, what it learned from, and its notes."""
    models, kind = training.models, kind_of(training.models.config.churn)
    blend = Blend(kind.pool_card(models), kind.training_dates(training.panel, models))
    return Card(
        training.evaluation,
        blend,
        training.notes,
        training.horizon_note,
        training.ranking,
        training.equal_events,
        training.event_types,
        models.config.churn,
    )


def summary(
    bundle: Bundle,
    bundle_card: Card,
    data_report: Mapping[str, Any],
    next_steps: Sequence[str],
    findings: Sequence[str] = (),
) -> Summary:
    """Return the summary of a run.

    Parameters
    ----------
    bundle, bundle_card
        What was trained, and its card.
    data_report
        As plain JSON.
    next_steps
        Commands to run next.
    findings
        What stands out in the log.
    """
    models = bundle.models
    kind, scheme = kind_of(models.config.churn), scheme_to_json(models.scheme)
    method = kind.method(models)
    return Summary(
        title="stagecast report",
        as_of=iso(bundle.clock.shop(bundle.as_of)),
        horizon_days=models.config.horizon_days,
        value_horizon_days=models.config.value_horizon_days,
        data_cutoff=iso(bundle.data_cutoff),
        model_version=bundle.model_version,
        method=method,
        method_note=kind.method_note(models),
        churn=models.config.churn,
        log=data_report,
        scheme=SchemeSummary(
            scheme["id"],
            scheme["title"],
            scheme["stage"],
            scheme["thresholds"],
            scheme["assumed"],
            scheme["play"],
        ),
        evaluation=bundle_card.evaluation,
        blend=bundle_card.blend,
        notes=bundle_card.notes,
        horizon_note=bundle_card.horizon_note,
        next_steps=tuple(next_steps),
        ranking=bundle_card.ranking,
        rfm=models.reference.rfm,
        findings=tuple(findings),
    )


class Stake(Enum):
    """What the active customers of a run are ranked by."""

    VALUE_AT_RISK = "value_at_risk"
    RISK_OF_VALUE = "risk_of_value"
    """Churn probability times clv, where the value at risk is next to nothing of the clv."""
    SPEND_OF_YEAR = "spend_of_year"
    """Churn probability times the spend of a year, where the value at risk is not known."""
    PROBABILITY = "probability"
    """Churn probability, where no amount can rank them."""


def stake_known(scores: pa.Table) -> Stake:
    """Return what the active customers can be ranked by: of what is above 0 for any of them."""
    at_risk = _active(scores, numbers(scores, "value_at_risk"))
    if not np.isnan(at_risk).all():
        clv = _active(scores, numbers(scores, "clv"))
        if _is_above_zero(at_risk) and not nobody_leaves(np.nansum(at_risk), np.nansum(clv)):
            return Stake.VALUE_AT_RISK
        if _is_above_zero(_risk_of_value(scores)):
            return Stake.RISK_OF_VALUE
    if _is_above_zero(_spend_of_year(scores)):
        return Stake.SPEND_OF_YEAR
    return Stake.PROBABILITY


def most_at_risk(scores: pa.Table, count: int) -> list[dict[str, Any]]:
    """Return the active rows with the most at stake, with ``at_stake``; see :func:`stakes`."""
    return first_by(scores, stakes(scores), count)


def first_by(scores: pa.Table, at_stake: Array, count: int) -> list[dict[str, Any]]:
    """Return the rows with the largest stakes, those of one stake by id; NaN are left out.

    Parameters
    ----------
    scores
        One row per customer.
    at_stake
        What is at stake with each, shape (n_customers,).
    count
        Rows to return, at most.
    """
    known = at_stake[~np.isnan(at_stake)]
    if not len(known):
        return []
    # only those who can be among the first are sorted and copied
    count = min(count, len(known))
    candidates = at_stake >= np.partition(known, len(known) - count)[len(known) - count]
    rows = scores.filter(pa.array(candidates)).append_column(
        "at_stake", pa.array(at_stake[candidates])
    )
    rows = rows.sort_by([("at_stake", "descending"), ("customer_id", "ascending")])
    return list(rows.slice(0, count).to_pylist())


def stakes(scores: pa.Table) -> Array:
    """Return what the active customers are ranked by, NaN for others; see :func:`stake_known`.

    All but the churn probability are money.
    """
    stake = stake_known(scores)
    if stake is Stake.VALUE_AT_RISK:
        return _active(scores, numbers(scores, "value_at_risk"))
    if stake is Stake.RISK_OF_VALUE:
        return _risk_of_value(scores)
    if stake is Stake.SPEND_OF_YEAR:
        return _spend_of_year(scores)
    return _active(scores, numbers(scores, "churn_probability"))


def _active(scores: pa.Table, values: Array) -> Array:
    return np.where(scores["state"].to_numpy(zero_copy_only=False) == "active", values, np.nan)


def _risk_of_value(scores: pa.Table) -> Array:
    return _active(scores, numbers(scores, "churn_probability") * numbers(scores, "clv"))


def _spend_of_year(scores: pa.Table) -> Array:
    days = np.maximum(numbers(scores, "tenure_days"), LEAST_TENURE_DAYS)
    spend_of_year = numbers(scores, "spend") / days * DAYS_PER_YEAR
    return _active(scores, numbers(scores, "churn_probability") * spend_of_year)


def _is_above_zero(values: Array) -> bool:
    return bool((np.nan_to_num(values) > 0).any())
