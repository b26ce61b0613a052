"""What a plan is asked for: whom, how many or for how much, at what cost, with what effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from stagecast.features.clock import iso
from stagecast.features.errors import UsageError
from stagecast.features.intake.reasons import LARGEST_AMOUNT

if TYPE_CHECKING:
    from stagecast.features.stages.plays import Play

KEEP_EFFECT, WIN_BACK_EFFECT = 0.05, 0.02
"""Assumed where nothing else is said: the share of what is at risk that a contact saves, and the
share of what is gone that it brings back."""
DAYS_MAX = 3_650
"""Most days of a rule: ten years."""


@dataclass(frozen=True)
class Audience:
    """Whom a plan may be about; a filter at its default has no effect.

    Parameters
    ----------
    stages, plays, bands, states
        A customer passes whose stage, play, churn band or state is any of them.
    min_value
        Minimum of what can be moved, in money: the value at risk of the active, and of the lapsed
        the value gone times the chance to return.
    ids
        Only these customers; None: all.
    """

    stages: tuple[str, ...] = ()
    plays: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    min_value: float | None = None
    ids: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.min_value is not None and not abs(self.min_value) <= LARGEST_AMOUNT:
            raise UsageError(f"the least value is {self.min_value}; give a number, like 50")
        if self.ids is not None and not all(self.ids):
            raise UsageError("an id of a customer is empty; write ids like a17,b20")


@dataclass(frozen=True)
class Costs:
    """What a contact costs; None leaves it to the play, and to nothing where that says nothing.

    Parameters
    ----------
    contact
        Of each customer contacted, in money.
    offer
        Paid to each contacted customer who orders in the window, also to those who would have
        ordered anyway, in money.
    offer_share
        The same as a share of the order's value, 0 to 1.
    """

    contact: float | None = None
    offer: float | None = None
    offer_share: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            _check_money(f"{name.replace('_', ' ')} cost", value)
        if self.offer_share is not None and self.offer_share > 1:
            raise UsageError(
                f"an offer of {self.offer_share:.0%} of the order is more than the order; "
                "give a share between 0 and 1, like 0.1 or 10%"
            )


@dataclass(frozen=True)
class Effects:
    """What a contact is taken to do.

    Parameters
    ----------
    keep
        Share of the value at risk of a customer that a contact saves, 0 to 1; None leaves it to
        the play, and to :data:`KEEP_EFFECT` where that says nothing.
    win_back
        Share of the value gone that a contact brings back; as ``keep``.
    source
        Where the two are from: ``assumed``, or what they were learned from.
    """

    keep: float | None = None
    win_back: float | None = None
    source: str = "assumed"

    def __post_init__(self) -> None:
        for name, value in (("keeping", self.keep), ("winning back", self.win_back)):
            if value is not None and not 0 <= value <= 1:
                raise UsageError(
                    f"the effect of {name} is {value:g}; it is the share of what is at stake that "
                    "a contact saves, between 0 and 1, like 0.05 or 5%"
                )


@dataclass(frozen=True)
class Rules:
    """Whom a plan must leave out, beside those who may not be contacted at all.

    Parameters
    ----------
    quiet_days
        Who was contacted within so many days is left out; 0: nobody.
    most_contacts, within_days
        Who was contacted so often within so many days is left out; None: nobody.
    require_consent
        Leave out who is not known to have consented.
    min_gain
        Least expected gain of a contact after its costs, in money.
    """

    quiet_days: int = 0
    most_contacts: int | None = None
    within_days: int = 90
    require_consent: bool = False
    min_gain: float = 0.0

    def __post_init__(self) -> None:
        for name, days, least in (
            ("quiet days", self.quiet_days, 0),
            ("days of the cap", self.within_days, 1),
        ):
            if not least <= days <= DAYS_MAX:
                raise UsageError(f"{days} {name} cannot be used; give {least} to {DAYS_MAX:,}")
        if self.most_contacts is not None and self.most_contacts < 1:
            raise UsageError(
                f"a cap of {self.most_contacts} contacts lets nobody be contacted; give 1 or more"
            )
        _check_money("least gain", self.min_gain)


@dataclass(frozen=True)
class Terms:
    """All that a plan is asked for.

    Parameters
    ----------
    contacts, budget
        At most so many customers, and so much expected cost; None: no such limit. Those who are
        held out count for neither.
    holdout
        Share of the list that is drawn at random and left alone, below 1.
    standing
        Hold out the same customers in every plan with this seed.
    seed
        Of the draw.
    window_days
        Days after the start in which orders count; None: as long as the play runs that the plan
        names, if it names exactly one that says so, and at most the horizon of the scores.
    worth
        What a customer who is kept brings, in money, where the log has no amounts.
    """

    audience: Audience = field(default_factory=Audience)
    costs: Costs = field(default_factory=Costs)
    effects: Effects = field(default_factory=Effects)
    rules: Rules = field(default_factory=Rules)
    contacts: int | None = None
    budget: float | None = None
    holdout: float = 0.1
    standing: bool = False
    seed: int = 0
    window_days: int | None = None
    worth: float | None = None

    def __post_init__(self) -> None:
        if self.contacts is not None and self.contacts < 1:
            raise UsageError(f"{self.contacts} contacts are no plan; give 1 or more")
        _check_money("budget", self.budget)
        _check_money("worth of a customer", self.worth)
        if not 0 <= self.holdout < 1:
            raise UsageError(
                f"a hold-out of {self.holdout:.4g} cannot be used: the share of the list that is "
                "left alone is at least 0 and below 100%, like 0.1 or 10%"
            )
        if self.window_days is not None and self.window_days < 1:
            raise UsageError(f"a window of {self.window_days} days is none; give 1 or more")
        if self.seed < 0:
            raise UsageError(f"the seed {self.seed} is negative; give 0 or more")

    def check_window(self, horizon_days: int, plays: Sequence[Play] = ()) -> int:
        """Return the length of the window in days.

        Parameters
        ----------
        horizon_days
            Horizon of the scores.
        plays
            Of the scheme.

        Raises
        ------
        UsageError
            It is longer than the horizon of the scores, beyond which nothing is expected.
        """
        if self.window_days is None:
            days = [play.days for play in plays if self.audience.plays == (play.id,)]
            return min([horizon_days, *(length for length in days if length is not None)])
        if self.window_days > horizon_days:
            raise UsageError(
                f"the window of {self.window_days} days is longer than the horizon of the scores, "
                f"{horizon_days} days; take a shorter window, or train with a longer horizon"
            )
        return self.window_days

    def to_json(self) -> dict[str, Any]:
        """Return the terms as plain data, as :func:`terms_from_json` reads them."""
        return asdict(self)


def terms_from_json(data: Mapping[str, Any]) -> Terms:
    """Return the terms of :meth:`Terms.to_json`, checked again."""
    audience: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in data["audience"].items()
    }
    parts = {
        "audience": Audience(**audience),
        "costs": Costs(**data["costs"]),
        "effects": Effects(**data["effects"]),
        "rules": Rules(**data["rules"]),
    }
    return Terms(**{**data, **parts})


def check_start(starts_at: datetime | None, as_of: datetime, horizon_days: int) -> datetime:
    """Return the start of a window, UTC; None: the as_of of the scores.

    Raises
    ------
    UsageError
        The scores say nothing of the time from there on.
    """
    starts, end = starts_at or as_of, as_of + timedelta(days=horizon_days)
    if not as_of <= starts < end:
        raise UsageError(
            f"the plan starts at {iso(starts)}, and the scores tell of the time from "
            f"{iso(as_of)} to {iso(end)}; choose a start within it, or publish newer scores"
        )
    return starts


def _check_money(name: str, value: float | None) -> None:
    if value is not None and not 0 <= value <= LARGEST_AMOUNT:
        raise UsageError(f"the {name} is {value}; give a number from 0 to {LARGEST_AMOUNT:g}")
