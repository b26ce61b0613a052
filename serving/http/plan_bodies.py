"""Bodies of requests about plans, decoded strictly."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from stagecast.features.clock import parse_shop_time
from stagecast.features.errors import UsageError
from stagecast.features.intake.reasons import LARGEST_AMOUNT
from stagecast.features.shop.clock import ShopClock
from stagecast.serving.http.bodies import body_problem, decode_strictly
from stagecast.serving.http.problems import Fault
from stagecast.serving.targeting.plan.terms import Audience, Costs, Effects, Rules, Terms

IDS_MAX, OUTCOMES_MAX = 100_000, 1_000_000
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Money = Annotated[float, msgspec.Meta(ge=0, le=LARGEST_AMOUNT)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Names = Annotated[list[Annotated[str, msgspec.Meta(max_length=256)]], msgspec.Meta(max_length=50)]


class AudienceBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whom a plan may be about; what is left out does not filter."""

    stages: _Names = []
    plays: _Names = []
    bands: _Names = []
    states: _Names = []
    min_value: Annotated[
        float | None,
        msgspec.Meta(
            description="least value at risk, or, of the lapsed, of what may return, in money"
        ),
    ] = None
    customer_ids: Annotated[list[_Id], msgspec.Meta(min_length=1, max_length=IDS_MAX)] | None = None


class CostsBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a contact costs; null leaves it to the play of each customer."""

    contact: _Money | None = None
    offer: Annotated[
        _Money | None, msgspec.Meta(description="paid to each contacted customer who orders")
    ] = None
    offer_share: Annotated[
        _Share | None, msgspec.Meta(description="the same as a share of the order")
    ] = None


class EffectsBody(msgspec.Struct, forbid_unknown_fields=True):
    """Effects of a contact; null leaves them to what is learned, or to the plays."""

    keep: Annotated[
        _Share | None, msgspec.Meta(description="share of the value at risk that a contact saves")
    ] = None
    win_back: Annotated[
        _Share | None, msgspec.Meta(description="share of the value gone that it brings back")
    ] = None
    learned: Annotated[
        bool | None,
        msgspec.Meta(
            description="whether what is null is learned from the plans that are closed; null: "
            "where any of them shows an effect"
        ),
    ] = None


class RulesBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whom a plan must leave out."""

    quiet_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 0
    most_contacts: Annotated[int, msgspec.Meta(ge=1)] | None = None
    within_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 90
    require_consent: bool = False
    min_gain: _Money = 0.0


class PlanBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a plan is asked for; without a name it is worked out and not stored."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    owner: Annotated[str, msgspec.Meta(max_length=256)] = ""
    audience: AudienceBody = msgspec.field(default_factory=AudienceBody)
    costs: CostsBody = msgspec.field(default_factory=CostsBody)
    effects: EffectsBody = msgspec.field(default_factory=EffectsBody)
    rules: RulesBody = msgspec.field(default_factory=RulesBody)
    contacts: Annotated[int, msgspec.Meta(ge=1)] | None = None
    budget: _Money | None = None
    holdout: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.1
    standing: bool = False
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    starts_at: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    window_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] | None = None
    worth: _Money | None = None
    replace: Annotated[
        bool, msgspec.Meta(description="whether to replace a draft of the same name")
    ] = False

    def terms(self) -> Terms:
        """Return the terms of the plan.

        Raises
        ------
        UsageError
            A value cannot be used.
        """
        wanted = self.audience
        return Terms(
            Audience(
                tuple(wanted.stages),
                tuple(wanted.plays),
                tuple(wanted.bands),
                tuple(wanted.states),
                wanted.min_value,
                None if wanted.customer_ids is None else tuple(wanted.customer_ids),
            ),
            Costs(self.costs.contact, self.costs.offer, self.costs.offer_share),
            Effects(self.effects.keep, self.effects.win_back),
            Rules(**msgspec.structs.asdict(self.rules)),
            contacts=self.contacts,
            budget=self.budget,
            holdout=self.holdout,
            standing=self.standing,
            seed=self.seed,
            window_days=self.window_days,
            worth=self.worth,
        )


class SentBody(msgspec.Struct, forbid_unknown_fields=True):
    """When the customers of a plan were contacted, and who; null: now, and all."""

    at: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    customer_ids: Annotated[list[_Id], msgspec.Meta(min_length=1, max_length=IDS_MAX)] | None = None


class OutcomeBody(msgspec.Struct, forbid_unknown_fields=True):
    """What one customer of a plan did in its window."""

    customer_id: _Id
    orders: Annotated[float, msgspec.Meta(ge=0, le=LARGEST_AMOUNT)]
    spend: Annotated[float, msgspec.Meta(ge=-LARGEST_AMOUNT, le=LARGEST_AMOUNT)] | None = None


class OutcomesBody(msgspec.Struct, forbid_unknown_fields=True):
    """What the customers of a plan did in its whole window; who is missing has ordered nothing."""

    outcomes: Annotated[list[OutcomeBody], msgspec.Meta(max_length=OUTCOMES_MAX)]
    margin: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0


_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {
    struct: msgspec.json.Decoder(struct) for struct in (PlanBody, SentBody, OutcomesBody)
}


def decode_plan(raw: bytes) -> PlanBody:
    """Return the decoded body of a plan; raises as :func:`decode_strictly`."""
    body: PlanBody = decode_strictly(_decoders[PlanBody], raw, PlanBody)
    return body


def decode_sent(raw: bytes) -> SentBody:
    """Return the decoded body of a confirmation; raises as :func:`decode_strictly`."""
    body: SentBody = decode_strictly(_decoders[SentBody], raw or b"{}", SentBody)
    return body


def decode_outcomes(raw: bytes) -> OutcomesBody:
    """Return the decoded body of outcomes; raises as :func:`decode_strictly`."""
    body: OutcomesBody = decode_strictly(_decoders[OutcomesBody], raw, OutcomesBody)
    return body


def instant_of(text: str | None, where: str, clock: ShopClock) -> Any:
    """Return an instant of a body, UTC; None where there is none.

    Parameters
    ----------
    text
        A date or date-time; without a zone it is what the shop's clock shows.
    where
        Name of the field.
    clock
        Clock of the shop.

    Raises
    ------
    ProblemError
        422: it is no instant.
    """
    if text is None:
        return None
    try:
        return clock.instant(clock.shop(parse_shop_time(text, where)))
    except UsageError:
        problem = "is not an ISO 8601 date; write it like 1997-06-01 or 1997-06-01T12:00:00Z"
        raise body_problem([Fault(where, problem, text)]) from None
