"""``stagecast plan``: whom to contact under a budget, with a hold-out, and what it brought."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from stagecast.serving.commands.console import show, show_json
from stagecast.serving.commands.options import common, instant
from stagecast.serving.commands.plan_options import plan_terms, share
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.commands.store_option import StoreOption, store_option
from stagecast.serving.reading import Reading
from stagecast.serving.requests import PlanRequest


@click.group(invoke_without_command=True)
@plan_terms
@click.pass_context
def plan(context: click.Context, request: PlanRequest, as_json: bool) -> None:
    """Whom to contact under a budget, with a random hold-out, and what it brought."""
    if context.invoked_subcommand is not None:
        return
    from stagecast.serving.commands.plan_lines import proposal_lines
    from stagecast.serving.jobs.plans import make_plan

    made = make_plan(request)
    if as_json:
        show_json(made.to_json())
    else:
        show(proposal_lines(made))


@plan.command()
@click.argument("name")
@store_option
@common
def freeze(name: str, store: StoreOption, as_json: bool) -> None:
    """Draw the hold-out and fix the list; nothing of the plan changes from then on."""
    from stagecast.serving.commands.plan_lines import frozen_lines
    from stagecast.serving.jobs.plans import open_book

    with open_book(store) as book:
        frozen = book.freeze(name)
        clock = book.clocks([frozen])[frozen.run_id]
    if as_json:
        show_json(frozen.to_json())
    else:
        show(frozen_lines(frozen, clock))


@plan.command("list")
@store_option
@common
def list_plans(store: StoreOption, as_json: bool) -> None:
    """All plans, the newest first."""
    from stagecast.serving.commands.plan_lines import list_lines
    from stagecast.serving.jobs.plans import open_book

    with open_book(store) as book:
        plans = book.plans()
        clocks = book.clocks(plans)
    if as_json:
        show_json([plan.to_json() for plan in plans])
    else:
        show(list_lines(plans, clocks))


@plan.command("show")
@click.argument("name")
@store_option
@common
def show_plan(name: str, store: StoreOption, as_json: bool) -> None:
    """What a plan was asked for and what is expected of it."""
    from stagecast.serving.commands.plan_lines import plan_lines
    from stagecast.serving.jobs.plans import open_book

    with open_book(store) as book:
        shown = book.plan(name)
        clock = book.clocks([shown])[shown.run_id]
    if as_json:
        show_json(shown.to_json())
    else:
        show(plan_lines(shown, clock))


@plan.command()
@click.argument("name")
@store_option
@common
def drop(name: str, store: StoreOption, as_json: bool) -> None:
    """Delete a draft."""
    from stagecast.serving.jobs.plans import open_book

    with open_book(store) as book:
        book.drop(name)
    if as_json:
        show_json({"dropped": name})
    else:
        show([f"The draft '{name}' is deleted."])


@plan.command()
@click.argument("name")
@store_option
@common
def cancel(name: str, store: StoreOption, as_json: bool) -> None:
    """Cancel a frozen plan that was not sent, so that other plans may contact its customers."""
    from stagecast.serving.jobs.plans import open_book

    with open_book(store) as book:
        cancelled = book.cancel(name)
    if as_json:
        show_json(cancelled.to_json())
    else:
        show([f"Plan '{name}' is cancelled; its customers are free for other plans."])


@plan.command()
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write, .csv or .xlsx; it must not exist.",
)
@click.option(
    "--arm",
    type=click.Choice(["contact", "holdout", "both"]),
    default="contact",
    show_default=True,
    help="Who is contacted, who is held out, or both.",
)
@click.option(
    "--format",
    "preset",
    type=click.Choice(["plain", "klaviyo", "mailchimp", "meta"]),
    default="plain",
    show_default=True,
    help="Columns as this tool imports them.",
)
@store_option
@common
def export(name: str, out: Path, arm: str, preset: str, store: StoreOption, as_json: bool) -> None:
    """Write the list of a frozen plan as a file to send from."""
    from stagecast.serving.commands.plan_lines import export_lines
    from stagecast.serving.jobs.plans import export_plan

    written = export_plan(name, out, arm=arm, preset=preset, store=store)
    if as_json:
        show_json(written.to_json())
    else:
        show(export_lines(written))


@plan.command()
@click.argument("name")
@click.option("--at", metavar="TIME", callback=instant, help="When it was sent; default: now.")
@click.option(
    "--customers",
    "file",
    type=click.Path(path_type=Path),
    help="CSV or Parquet file with the column customer_id: who was contacted; default: all.",
)
@store_option
@common
def sent(
    name: str, at: datetime | None, file: Path | None, store: StoreOption, as_json: bool
) -> None:
    """Note that the customers of a plan were contacted."""
    from stagecast.serving.jobs.plans import confirm
    from stagecast.serving.reports.shop_days import day_on

    confirmed, clock = confirm(name, at, file, store=store)
    if as_json:
        show_json(confirmed.to_json())
    else:
        end = day_on(clock, confirmed.ends_at)
        show([f"Plan '{name}' is noted as sent; read it out after {end}."])


@plan.command()
@click.argument("name")
@reading
@click.option(
    "--outcome",
    type=click.Path(path_type=Path),
    help=(
        "CSV or Parquet file with customer_id, orders and, if known, spend of the window, instead "
        "of EVENTS; who is missing has ordered nothing."
    ),
)
@click.option(
    "--margin",
    type=float,
    default=1.0,
    show_default=True,
    metavar="SHARE",
    help="What a customer's money earns: 0.3 if 30 % of the price is profit.",
)
@store_option
@common
def readout(
    reading: Reading,
    name: str,
    outcome: Path | None,
    margin: float,
    store: StoreOption,
    as_json: bool,
) -> None:
    """What a frozen plan brought, from later EVENTS of the log or from counted outcomes."""
    from stagecast.serving.commands.readout_lines import readout_lines
    from stagecast.serving.jobs.readouts import read_out

    result = read_out(name, reading, outcome, margin=margin, store=store)
    if as_json:
        show_json(result.to_json())
    else:
        show(readout_lines(result))


@plan.command()
@store_option
@common
def results(store: StoreOption, as_json: bool) -> None:
    """What all plans brought together that were read out after their windows."""
    from stagecast.serving.commands.readout_lines import results_lines
    from stagecast.serving.jobs.readouts import results_together

    together = results_together(store)
    if as_json:
        show_json(together.to_json())
    else:
        show(results_lines(together))


@plan.command()
@click.argument("name")
@reading
@click.option(
    "--depth",
    default="50%",
    show_default=True,
    metavar="SHARE",
    callback=share,
    help="Share of such a list that would be contacted.",
)
@click.option(
    "--worth",
    type=float,
    metavar="MONEY",
    help=(
        "What an order brings: instead of --depth, whom it pays to contact at the plan's mean cost "
        "of a contact."
    ),
)
@store_option
@common
def learn(
    reading: Reading,
    name: str,
    depth: float,
    worth: float | None,
    store: StoreOption,
    as_json: bool,
) -> None:
    """Which ranking would have been the best for a plan that was read out: gain, risk or uplift.

    EVENTS: the log with what was known when the plan was made; what came later is not looked at.
    """
    from stagecast.serving.commands.learned_lines import learned_lines
    from stagecast.serving.jobs.learned import learn_ranking

    learned = learn_ranking(name, reading, depth=depth, worth=worth, store=store)
    if as_json:
        show_json(learned.to_json())
    else:
        show(learned_lines(learned))


@plan.command()
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@common
def profiles(file: Path, store: StoreOption, as_json: bool) -> None:
    """Load who may be contacted from a CSV or Parquet file.

    Columns: customer_id and any of name, email (stored as SHA-256 only), contact_key, consent,
    do_not_contact, channel, country; others are kept as attributes. A customer who is known is
    replaced.
    """
    from stagecast.serving.jobs.profiles import load_profiles

    number = load_profiles(file, store=store)
    if as_json:
        show_json({"profiles": number})
    else:
        show([f"Profiles stored: {number:,}."])


@plan.command()
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@common
def contacts(file: Path, store: StoreOption, as_json: bool) -> None:
    """Load when customers were contacted from a CSV or Parquet file: customer_id, contacted_at."""
    from stagecast.serving.jobs.profiles import load_contacts

    number = load_contacts(file, store=store)
    if as_json:
        show_json({"contacts": number})
    else:
        show([f"Contacts stored: {number:,}."])
