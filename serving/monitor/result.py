"""Result of watching a model on a log; ``monitor.json`` has its fields in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stagecast.features.plain_json import to_json
from stagecast.serving.monitor.truth import SettledLine
from stagecast.serving.monitor.windows import EventRow
from stagecast.training.config import Churn
from stagecast.training.monitoring.advice import Advice, Checked
from stagecast.training.monitoring.estimated import EstimatedQuality
from stagecast.training.monitoring.movement import Movement


@dataclass(frozen=True)
class FaultLine:
    """Something that looks broken in the log: its kind, subject, first day, and a sentence."""

    kind: str
    subject: str
    since: str | None
    sentence: str


@dataclass(frozen=True)
class Tested:
    """Quality of the model's procedure one horizon before its training, for the active."""

    as_of: str
    customers: int
    leaving: float
    log_loss: float
    auc: float | None
    brier: float


@dataclass(frozen=True)
class ComparedDates:
    """Dates of what is compared, ISO 8601; None: the log does not reach back, or no horizon of the
    model is over.
    """

    training: str
    as_of: str
    year_ago: str | None
    before: str | None
    settled: str | None
    window_days: int | None


@dataclass(frozen=True)
class Monitoring:
    """A model watched on a log.

    Parameters
    ----------
    as_of
        Where we stand.
    model_version, trained_as_of, horizon_days, age_days
        Of the model.
    currency
        Code of the currency of the amounts; None: not known.
    advice
        What to do, and why.
    faults
        What looks broken in the log.
    settled
        Scores against what came; empty where no horizon is over.
    tested, checked, estimated
        Quality for the active: as the training tested it, of the newest date whose outcomes are
        known, and what today's probabilities expect of themselves.
    dates
        What is compared with what.
    customers_before, customers, active_before, active
        Customers, and active ones, at the training and now; None before: the log does not have it.
    unknown_share
        Share of the events of the current window whose type is new since the training.
    events
        Rate of each type.
    amounts
        Amounts of purchases; None where there are too few.
    features, scores
        What has moved, by columns.
    notes
        What could not be looked at, a sentence each.
    churn
        What the probabilities are of: ``leaving`` and ``left`` count that.
    """

    as_of: str
    model_version: str
    trained_as_of: str
    horizon_days: int
    age_days: float
    currency: str | None
    advice: Advice
    faults: tuple[FaultLine, ...]
    settled: tuple[SettledLine, ...]
    tested: Tested | None
    checked: Checked | None
    estimated: EstimatedQuality | None
    dates: ComparedDates
    customers_before: int | None
    customers: int
    active_before: int | None
    active: int
    unknown_share: float | None
    events: tuple[EventRow, ...]
    amounts: Movement | None
    features: tuple[Movement, ...]
    scores: tuple[Movement, ...]
    notes: tuple[str, ...]
    churn: Churn = "inactivity"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return to_json(self)

    def __repr__(self) -> str:
        """Return the advice in one line, not the tables."""
        return (
            f"<Monitoring of {self.model_version} as of {self.as_of}: {self.advice.action}; "
            f"{self.advice.sentence}>"
        )

    def _repr_html_(self) -> str:
        """Return the advice and its reasons, for a notebook."""
        from markupsafe import escape

        items = "".join(
            f"<li>{escape(r.cause)}: {escape(r.sentence)}</li>" for r in self.advice.reasons
        )
        return f"<p><strong>{escape(self.advice.sentence)}</strong></p><ul>{items}</ul>"
