"""Options of ``stagecast plan``: whom, how many or for how much, at what cost, with what effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click

from stagecast.features.errors import UsageError
from stagecast.serving.commands.options import (
    common,
    in_place_of,
    instant,
    span_days,
    with_options,
)
from stagecast.serving.commands.store_option import store_option
from stagecast.serving.requests import PlanRequest
from stagecast.serving.targeting.plan.terms import Audience, Costs, Effects, Rules, Terms

F = TypeVar("F", bound=Callable[..., Any])


def share(_: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """Return a share of the command line, ``0.1`` or ``10%``; for ``callback`` of an option."""
    if value is None:
        return None
    number = value.strip().removesuffix("%")
    try:
        return float(number) / (100 if value.strip().endswith("%") else 1)
    except ValueError:
        raise UsageError(
            f"{option.opts[0]} '{value}' is no share; write it like 0.1 or 10%"
        ) from None


def _money_or_share(
    _: click.Context, option: click.Parameter, value: str | None
) -> tuple[float | None, float | None]:
    """Return money and a share of the order, one of them None."""
    if value is None:
        return None, None
    text = value.strip()
    try:
        if text.endswith("%"):
            return None, float(text[:-1]) / 100
        return float(text), None
    except ValueError:
        raise UsageError(
            f"{option.opts[0]} '{value}' is neither money nor a share of the order; write it like "
            "5 or 10%"
        ) from None


def plan_terms(function: F) -> F:
    """Add the options of a plan; the command gets a :class:`PlanRequest` as ``request``."""

    def command(context: click.Context, **values: Any) -> Any:
        offer, offer_share = values.pop("offer_cost")
        ids: str | None = values.pop("ids")
        terms = Terms(
            Audience(
                stages=values.pop("stage"),
                plays=values.pop("play"),
                bands=values.pop("band"),
                states=values.pop("state"),
                min_value=values.pop("min_value"),
                ids=None if ids is None else tuple(part.strip() for part in ids.split(",")),
            ),
            Costs(values.pop("contact_cost"), offer, offer_share),
            Effects(values.pop("effect"), values.pop("win_back_effect")),
            Rules(
                values.pop("quiet") or 0,
                values.pop("most_contacts"),
                values.pop("within"),
                values.pop("require_consent"),
                values.pop("min_gain"),
            ),
            contacts=values.pop("contacts"),
            budget=values.pop("budget"),
            holdout=values.pop("holdout"),
            standing=values.pop("standing"),
            seed=values.pop("seed"),
            window_days=values.pop("window"),
            worth=values.pop("worth"),
        )
        starts_at: datetime | None = values.pop("start")
        request = PlanRequest(
            name=values.pop("name"),
            terms=terms,
            owner=values.pop("owner"),
            starts_at=starts_at,
            replace=values.pop("replace"),
            effects=values.pop("effects"),
            store=values.pop("store"),
        )
        return function(request=request, **values)

    return with_options(in_place_of(function, command), [*_options(), store_option, common])


def _options() -> list[Callable[[F], F]]:
    return [
        click.option(
            "--name",
            metavar="NAME",
            help="Store the plan as a draft of this name; without it, nothing is stored.",
        ),
        click.option("--owner", default="", metavar="TEXT", help="Whose plan it is."),
        click.option("--replace", is_flag=True, help="Replace a draft of the same name."),
        *_whom(),
        *_limits(),
        *_money(),
    ]


def _whom() -> list[Callable[[F], F]]:
    return [
        _names("--stage", "Only customers of this stage; also several."),
        _names("--play", "Only customers of this play; also several."),
        _names("--band", "Only low, medium or high churn; also several."),
        _names("--state", "Only prospect, active or lapsed customers; also several."),
        click.option(
            "--min-value",
            type=float,
            metavar="MONEY",
            help="Least value at risk, or, of the lapsed, of what may return.",
        ),
        click.option("--ids", metavar="ID,ID", help="Only these customers."),
        click.option(
            "--quiet",
            metavar="SPAN",
            callback=span_days,
            help="Leave out who was contacted within this span, like 14d.",
        ),
        click.option(
            "--most-contacts",
            type=int,
            metavar="N",
            help="Leave out who was contacted so often within --within.",
        ),
        click.option(
            "--within", metavar="SPAN", default="90d", show_default=True, callback=span_days
        ),
        click.option(
            "--require-consent",
            is_flag=True,
            help="Leave out who is not known to have consented (see `plan profiles`).",
        ),
    ]


def _names(option: str, help_text: str) -> Callable[[F], F]:
    return click.option(option, multiple=True, callback=_parted, metavar="NAME", help=help_text)


def _parted(_: click.Context, option: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """Return names of the command line, which commas may part."""
    names = [part.strip() for value in values for part in value.split(",")]
    if not all(names):
        raise UsageError(
            f"{option.opts[0]} '{','.join(values)}' has an empty name; write it like loyal,at_risk"
        )
    return tuple(dict.fromkeys(names))


def _limits() -> list[Callable[[F], F]]:
    return [
        click.option("--contacts", type=int, metavar="N", help="At most so many are contacted."),
        click.option(
            "--budget", type=float, metavar="MONEY", help="Most that the contacts may cost."
        ),
        click.option(
            "--holdout",
            default="10%",
            show_default=True,
            metavar="SHARE",
            callback=share,
            help="Share of the list that is drawn at random and left alone; 0 for none.",
        ),
        click.option(
            "--standing",
            is_flag=True,
            help="Hold out the same customers in every plan with this --seed.",
        ),
        click.option("--seed", type=int, default=0, show_default=True, metavar="N"),
        click.option(
            "--start",
            metavar="DATE",
            callback=instant,
            help="Start of the window in which orders count; default: the as_of of the scores.",
        ),
        click.option(
            "--window",
            metavar="SPAN",
            callback=span_days,
            help=(
                "Length of the window; default: the days of the one --play that says them, else "
                "the horizon of the scores."
            ),
        ),
    ]


def _money() -> list[Callable[[F], F]]:
    return [
        click.option("--contact-cost", type=float, metavar="MONEY", help="Of each contact."),
        click.option(
            "--offer-cost",
            metavar="MONEY|SHARE",
            callback=_money_or_share,
            help=(
                "Paid to each contacted customer who orders, also to who would have anyway: money, "
                "or a share of the order like 10%."
            ),
        ),
        click.option(
            "--effect",
            metavar="SHARE",
            callback=share,
            help="Share of the value at risk that a contact saves; default: of the play, or 5%.",
        ),
        click.option(
            "--win-back-effect",
            metavar="SHARE",
            callback=share,
            help="Share of the value gone that it brings back; default: of the play, or 2%.",
        ),
        click.option(
            "--effects",
            type=click.Choice(["assumed", "learned"]),
            help=(
                "What --effect and --win-back-effect are where they are not stated: assumed, or "
                "learned from the plans that were read out after their windows; default: learned "
                "where any of these shows an effect."
            ),
        ),
        click.option(
            "--min-gain",
            type=float,
            default=0.0,
            show_default=True,
            metavar="MONEY",
            help="Least expected gain of a contact after its costs.",
        ),
        click.option(
            "--worth",
            type=float,
            metavar="MONEY",
            help="What a customer who is kept brings, for a log without amounts.",
        ),
    ]
