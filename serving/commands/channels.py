"""``stagecast channels``: customers by what they were first seen in."""

from __future__ import annotations

from pathlib import Path

import click

from stagecast.serving.commands.console import show, show_json, steps
from stagecast.serving.commands.options import as_request, common, event_types
from stagecast.serving.commands.reading_values import reading
from stagecast.serving.reading import Reading
from stagecast.serving.requests import ChannelsRequest


@click.command()
@reading
@as_request(ChannelsRequest, cost_events="cost_event")
@click.option(
    "--by",
    metavar="COLUMN",
    default="channel",
    show_default=True,
    help="channel, or a column of the table of --customers, such as a campaign.",
)
@click.option("--model", metavar="MODEL", help="A bundle folder, or models:/NAME@champion.")
@click.option(
    "--scores",
    type=click.Path(path_type=Path),
    help="Scores of this log at this as_of, .parquet or .csv, instead of --model.",
)
@click.option(
    "--spend",
    type=click.Path(path_type=Path),
    help="What acquisition cost: a .csv or .parquet with the column of --by, from, to, cost.",
)
@click.option(
    "--cost-event",
    multiple=True,
    metavar="TYPE[,TYPE]",
    callback=event_types,
    help="Types of events whose amount is what acquisition cost, by channel; default: ad_cost.",
)
@click.option(
    "--margin",
    type=float,
    metavar="SHARE",
    help="Share of the spend that is earned; default: that of the model, else 1.",
)
@click.option(
    "--period",
    metavar="UNIT",
    help="Of the cohorts: week, month or quarter; default: by the length of the log.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write, .parquet or .csv: all cohorts."
)
@click.option(
    "--publish", is_flag=True, help="Write the table to the store, beside the published scores."
)
@click.option(
    "--store", metavar="URL", help="The store; default ./stagecast.db (or STAGECAST_STORE)."
)
@click.option(
    "--tracking-uri",
    metavar="URI",
    help="MLflow store for models:/...; default sqlite:///mlflow.db.",
)
@common
def channels(reading: Reading, request: ChannelsRequest, as_json: bool) -> None:
    """Customers by the channel or campaign they were first seen in: cost, value, payback, share
    lost. It does not say what brought them.
    """
    from stagecast.serving.commands.channel_lines import channel_lines
    from stagecast.serving.jobs.channels import make_channels

    made = make_channels(reading, request, steps=steps)
    if as_json:
        show_json(made.to_json())
    else:
        show(channel_lines(made))
