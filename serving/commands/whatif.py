"""``stagecast whatif``: what customers would be worth with another churn, pace or basket."""

from __future__ import annotations

import re

import click

from stagecast.features.clock import parse_span_days
from stagecast.features.errors import UsageError
from stagecast.serving.commands.console import show, show_json, steps
from stagecast.serving.commands.options import as_request, common
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.reading import Reading
from stagecast.serving.requests import WhatIfRequest

_SHARE = re.compile(r"([+-]?)(\d+(?:\.\d+)?)\s*%")


def share(_: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """Return a change in per cent as a share; for ``callback`` of an option.

    Raises
    ------
    UsageError
        It has no sign, unless it is 0, or is no percentage.
    """
    if value is None:
        return None
    match = _SHARE.fullmatch(value.strip())
    if match is None or not (match.group(1) or float(match.group(2)) == 0):
        raise UsageError(
            f"{option.opts[0]} '{value}' is not a change; write it with its sign, like -5% or +5%"
        )
    return float(match.group(1) + match.group(2)) / 100.0


def shift_days(_: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """Return a shift in time in days, below 0 if sooner; for ``callback`` of an option.

    Raises
    ------
    UsageError
        It has no sign, unless it is 0, or is no span.
    """
    if value is None:
        return None
    text = value.strip()
    if text in ("0d", "0"):
        return 0.0
    if text[:1] not in ("+", "-"):
        raise UsageError(
            f"{option.opts[0]} '{value}' is not a shift; write it with its sign, like -10d (ten "
            "days sooner) or +2w"
        )
    days = parse_span_days(text[1:], option.opts[0])
    return float(-days if text[0] == "-" else days)


@click.command()
@reading
# the names keep them apart from other commands' options of the same name in a stagecast.toml
@as_request(WhatIfRequest, churn="churn_change", basket="basket_change", by="whatif_by")
@click.option(
    "--model", required=True, metavar="MODEL", help="A bundle folder, or models:/NAME@champion."
)
@click.option(
    "--churn",
    "churn_change",
    metavar="CHANGE",
    callback=share,
    help="Change of the chance of leaving within the horizon, like -5%.",
)
@click.option(
    "--second-order",
    metavar="SHIFT",
    callback=shift_days,
    help="Shift of the second order of who has bought once, like -10d: ten days sooner.",
)
@click.option(
    "--basket",
    "basket_change",
    metavar="CHANGE",
    callback=share,
    help="Change of the money per order, like +5%.",
)
@click.option(
    "--by", "whatif_by", type=click.Choice(["stage", "state"]), help="Show each of them, too."
)
@click.option(
    "--tracking-uri",
    metavar="URI",
    help="MLflow store for models:/...; default sqlite:///mlflow.db.",
)
@common
def whatif(reading: Reading, request: WhatIfRequest, as_json: bool) -> None:
    """What customers would be worth over one year and three if fewer left, came back sooner or paid
    more. Without a change: churn -5%, second order -10d, basket +5%, each alone and all together.
    """
    from stagecast.serving.commands.whatif_lines import whatif_lines
    from stagecast.serving.jobs.what_if import work_out

    made = work_out(reading, request, steps=steps)
    if as_json:
        show_json(made.to_json())
    else:
        show(whatif_lines(made))
