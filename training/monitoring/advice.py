"""Whether to retrain, and why: faults first, then truth, then age and drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stagecast.training.churn_kinds import kind_of
from stagecast.training.churn_kinds.kind import Wording
from stagecast.training.config import Churn
from stagecast.training.monitoring.calibration import Compared
from stagecast.training.monitoring.estimated import EstimatedQuality, Expected
from stagecast.training.monitoring.faults import Fault
from stagecast.training.monitoring.movement import SMALL, Movement
from stagecast.training.monitoring.season import Season

Action = Literal["keep", "retrain", "repair"]
Cause = Literal["fault", "quality", "calendar", "drift"]

AUC_LOST = 0.05
"""Loss of AUC from which the order of the customers has become worse."""
HORIZONS = 2
"""A model is retrained at this age, in horizons, unless another is set."""
NAMED = 3


@dataclass(frozen=True)
class Reason:
    """A reason for the advice.

    Parameters
    ----------
    cause
        What it comes from.
    action
        What it asks for.
    sentence
        The reason with its numbers.
    """

    cause: Cause
    action: Action
    sentence: str


@dataclass(frozen=True)
class Advice:
    """What to do.

    Parameters
    ----------
    action
        ``repair`` (the log looks broken), ``retrain``, or ``keep``.
    sentence
        It, in one sentence.
    reasons
        Why, the weightiest first; also what was looked at and speaks for keeping the model.
    """

    action: Action
    sentence: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Checked:
    """Scores of the model at a past date, held against what came.

    Parameters
    ----------
    as_of
        The date, for people.
    compared
        The active customers.
    auc, log_loss, brier
        Realised figures of them; None where all left, or none.
    expected
        What the probabilities expected of themselves.
    year_before
        Share of the customers who were active a year before that date and left in the same days;
        None: the log does not reach back.
    season
        What the season explains of a miss; None: the log does not reach a year back.
    """

    as_of: str
    compared: Compared
    auc: float | None
    log_loss: float
    brier: float
    expected: EstimatedQuality | None
    year_before: float | None = None
    season: Season | None = None

    @property
    def holds(self) -> bool:
        """Whether neither the level, nor the order, nor the money is off, but for the season."""
        return not (self.off or self.money_off or self.ranks_worse)

    @property
    def off(self) -> bool:
        """Whether other numbers left than were expected, and the season does not explain it."""
        explained = self.season is not None and self.season.explains_leaving
        return self.compared.off and not explained

    @property
    def money_off(self) -> bool:
        """Whether other money came than was expected, and the season does not explain it."""
        explained = self.season is not None and self.season.explains_money
        return self.compared.money_off and not explained

    @property
    def ranks_worse(self) -> bool:
        """Whether the AUC is lower than expected beyond chance, and by :data:`AUC_LOST`."""
        expected = None if self.expected is None else self.expected.auc
        return _below(self.auc, expected)


def advice(
    faults: Sequence[Fault],
    sentences: Sequence[str],
    checked: Checked | None,
    age_days: float,
    horizon_days: int,
    features: Sequence[Movement],
    scores: Sequence[Movement],
    max_age_days: int | None = None,
    churn: Churn = "inactivity",
) -> Advice:
    """Return what to do.

    Drift alone is a reason only where features that the models use have moved far, nothing explains
    it, and the probabilities have moved with them: a feature that changes no score needs no new
    model. Nor is it one before a horizon has passed, since until then no outcome is known that a
    new training could learn from.

    Parameters
    ----------
    faults, sentences
        Faults of the log, and their sentences.
    checked
        The newest check of this model; None where no horizon has passed since its training.
    age_days
        From the training to the as_of.
    horizon_days
        Horizon of the model.
    features, scores
        What has moved.
    max_age_days
        Age from which to retrain; None: :data:`HORIZONS` horizons.
    churn
        What the probabilities of the model are of.
    """
    reasons = [
        Reason("fault", "repair", sentence) for _, sentence in zip(faults, sentences, strict=True)
    ]
    reasons += _quality(checked, horizon_days, age_days, kind_of(churn).wording)
    limit = HORIZONS * horizon_days if max_age_days is None else max_age_days
    reasons.append(_calendar(age_days, horizon_days, limit))
    reasons.append(_drift(features, scores, age_days, horizon_days))
    order: tuple[Action, ...] = ("repair", "retrain", "keep")
    reasons.sort(key=lambda reason: order.index(reason.action))
    action = reasons[0].action
    because = [reason for reason in reasons if reason.action == action]
    return Advice(action, _sentence(action, because), tuple(reasons))


def _sentence(action: Action, because: Sequence[Reason]) -> str:
    first = because[0].sentence
    if action == "repair":
        more = f" (and {len(because) - 1} more)" if len(because) > 1 else ""
        return f"Repair the log before anything else{more}: {first}"
    if action == "retrain":
        causes = sorted({_CAUSES[reason.cause] for reason in because})
        return f"Retrain, because of {' and '.join(causes)}: {first}"
    return f"Keep the model: {first}"


_CAUSES = {"quality": "its scores", "calendar": "its age", "drift": "drift", "fault": "faults"}


def _quality(
    checked: Checked | None, horizon_days: int, age_days: float, words: Wording
) -> list[Reason]:
    if checked is None:
        left = horizon_days - age_days
        sentence = (
            f"no outcome is known yet: the first horizon of {horizon_days} days since the "
            f"training is over in {left:,.0f} days."
            if left > 0
            else f"a horizon of {horizon_days} days since the training is over, but its scores are "
            "not held against what came; the notes say why."
        )
        return [Reason("quality", "keep", sentence)]
    group, date, reasons = checked.compared, checked.as_of, []
    if checked.off:
        reasons.append(
            f"of {group.customers:,} active customers as of {date}, {group.said:,.0f} were "
            f"expected to {words.verb} ({group.low:,.0f} to {group.high:,.0f} by chance), and "
            f"{group.left:,} did ({group.left / group.customers:.0%}{_year_before(checked)})."
        )
    if checked.ranks_worse and checked.expected is not None and checked.expected.auc is not None:
        reasons.append(
            f"as of {date} the model ranked customers with an AUC of {checked.auc:.3f}, where "
            f"{checked.expected.auc.value:.3f} was to be expected."
        )
    if checked.money_off and group.money_ratio is not None:
        reasons.append(
            f"customers as of {date} spent {group.money_ratio:.0%} of what was expected of them."
        )
    if reasons:
        return [Reason("quality", "retrain", text) for text in reasons]
    if (group.off or group.money_off) and checked.season is not None:
        return [Reason("quality", "keep", _of_season(checked, checked.season, words))]
    if group.customers == 0:
        return [Reason("quality", "keep", f"no customer was active as of {date}.")]
    return [
        Reason(
            "quality",
            "keep",
            f"its scores as of {date} held to {abs(group.left - group.said) / group.customers:.1%} "
            f"of the customers: of {group.customers:,} active ones {group.said:,.0f} were expected "
            f"to {words.verb}, and {group.left:,} did.",
        )
    ]


def _of_season(checked: Checked, season: Season, words: Wording) -> str:
    """Return that a miss is what the same season brought a year before."""
    group, then, parts = checked.compared, season.compared, []
    if group.off:
        parts.append(
            f"of {group.customers:,} active customers as of {checked.as_of} {group.said:,.0f} were "
            f"expected to {words.verb}, and {group.left:,} did ({group.left / group.customers:.0%}"
            f"{_year_before(checked)})"
        )
    if group.money_off and group.money_ratio is not None and then.money_ratio is not None:
        parts.append(
            f"customers as of {checked.as_of} spent {group.money_ratio:.0%} of what was expected "
            f"of them, and {then.money_ratio:.0%} of what came from as many a year before"
        )
    return (
        f"its scores missed by the season, and held in the season of the training: "
        f"{'; '.join(parts)}."
    )


def _calendar(age_days: float, horizon_days: int, limit: int) -> Reason:
    age = f"it is {age_days:,.0f} day{'' if round(age_days) == 1 else 's'} old"
    if age_days >= limit:
        return Reason(
            "calendar",
            "retrain",
            f"{age}, {age_days / horizon_days:.1f} horizons of outcomes that it has not learned "
            f"from; it was to be retrained at {limit} days.",
        )
    return Reason("calendar", "keep", f"{age}, and is due at {limit} days.")


def _drift(
    features: Sequence[Movement], scores: Sequence[Movement], age_days: float, horizon_days: int
) -> Reason:
    if age_days < 1:
        return Reason("drift", "keep", "it was trained at this as_of, so nothing has moved.")
    large = [movement for movement in features if movement.large and movement.uses]
    risen = [
        movement
        for movement in scores
        if movement.reading == "moved"
        and movement.center != "share"
        and movement.since_training.psi >= SMALL
    ]
    if not features and not scores:
        return Reason("drift", "keep", "what has moved cannot be said: there is no reference.")
    if not large:
        return Reason("drift", "keep", "no feature that it learns from moved far without a reason.")
    names = ", ".join(movement.name for movement in large[:NAMED])
    more = f" and {len(large) - NAMED} more" if len(large) > NAMED else ""
    verb = "has" if len(large) == 1 else "have"
    if not risen:
        return Reason(
            "drift",
            "keep",
            f"{names}{more} {verb} moved far, and what the model says of its customers has not.",
        )
    moved = (
        f"{names}{more} {verb} moved far, which neither the season nor the time before the "
        f"training explains, and {risen[0].name} moved with it{_from_to(risen[0])}"
    )
    if age_days < horizon_days:
        return Reason(
            "drift",
            "keep",
            f"{moved}; there is nothing to learn from yet: the outcomes since the training are "
            f"known in {horizon_days - age_days:,.0f} days.",
        )
    return Reason("drift", "retrain", f"{moved}.")


def _year_before(checked: Checked) -> str:
    share = checked.year_before
    return "" if share is None else f"; in the same days a year before, {share:.0%}"


def _from_to(movement: Movement) -> str:
    if movement.before is None or movement.now is None:
        return ""
    return f" ({movement.center} {movement.before:,.3g} before, {movement.now:,.3g} now)"


def _below(auc: float | None, expected: Expected | None) -> bool:
    if auc is None or expected is None:
        return False
    return auc < expected.low and expected.value - auc >= AUC_LOST
