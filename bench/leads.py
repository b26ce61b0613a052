"""P(first purchase) of leads, out of time, on a real funnel: ``python -m bench.leads [FOLDER]``.

Olist's marketing-qualified leads and closed deals (Kaggle: olistbr/marketing-funnel-olist). A lead
is an ``enquiry`` at its first contact with its origin as the channel, a deal is a ``purchase``; the
landing page is an attribute known from the first contact on. No column of the deals but the date is
read: they are filled in when a deal is won, so they tell the outcome. At each as_of the model sees
what was known then; judged are the leads of the 30 days that follow, each at its first contact, and
the leads then open, each at the as_of. The horizon is 90 days.

``naive`` is what is done without a survival model: the same shrunken multipliers on the share of
all leads so far that had converted by the as_of, young or old.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.attributes import CHANNEL, Texts, table_attribute_texts
from stagecast.features.clock import day_number, parse_instant
from stagecast.features.events import CustomersTable, EventLog, ReadOptions, from_frame
from stagecast.features.leads import lead_events
from stagecast.training.leads.conversion import LeadConversion
from stagecast.training.leads.effects import multiplier
from stagecast.training.leads.exposure import HALF_LIFE_DAYS, Exposure, Leads, leads_of
from stagecast.training.leads.fit_effects import fit_effects
from stagecast.training.leads.fitting import fit_lead_conversion
from stagecast.training.learners import metrics

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "olist_funnel"
LEADS, DEALS = "olist_marketing_qualified_leads_dataset.csv", "olist_closed_deals_dataset.csv"
AS_OFS = ("2018-03-01", "2018-04-01", "2018-05-01")
HORIZON_DAYS, LATER_DAYS = 90, 30
DECLARED = ("origin", "landing_page_id")


@contextmanager
def funnel(folder: Path = FOLDER) -> Iterator[EventLog]:
    """Give the funnel as an event log with its table of attributes."""
    leads = pd.read_csv(folder / LEADS, dtype=str, keep_default_na=False)
    deals = pd.read_csv(folder / DEALS, dtype=str, usecols=["mql_id", "won_date"])
    enquiries = pd.DataFrame(
        {
            "customer_id": leads["mql_id"],
            "timestamp": leads["first_contact_date"],
            "event": "enquiry",
            "channel": leads["origin"],
        }
    )
    purchases = pd.DataFrame(
        {"customer_id": deals["mql_id"], "timestamp": deals["won_date"], "event": "purchase"}
    )
    with tempfile.TemporaryDirectory() as temporary:
        table = Path(temporary) / "customers.csv"
        leads[["mql_id", *DECLARED]].to_csv(table, index=False)
        events = pd.concat([enquiries, purchases])
        with from_frame(events, ReadOptions(), CustomersTable(str(table), "mql_id")) as log:
            yield log


def known(log: EventLog, at: datetime) -> tuple[Texts, Leads, dict[str, Texts]]:
    """Return the customers, their leads and their categories as known before an instant."""
    events = lead_events(log.con, at)
    bought = np.flatnonzero(events.kind == events.types.index("purchase"))
    leads = leads_of(events.first_instants(), events.customer[bought], events.instant[bought])
    texts = table_attribute_texts(log.con, events.customers, DECLARED)
    # origin is the channel, and counts once
    return (
        events.customers,
        leads,
        {CHANNEL: texts["origin"], "landing_page_id": texts["landing_page_id"]},
    )


@dataclass(frozen=True)
class Case:
    """Leads that are judged: their age in days, what was known of them, and whether they
    converted in the horizon.
    """

    name: str
    age: Array
    categories: dict[str, Texts]
    converted: NDArray[np.bool_]


def cases(leads: Leads, categories: dict[str, Texts], as_of_day: float) -> tuple[Case, Case]:
    """Return the later leads and the open leads of an as_of, with what came, from the whole log."""
    with np.errstate(invalid="ignore"):
        later = (leads.start >= as_of_day) & (leads.start < as_of_day + LATER_DAYS)
    result = []
    for name, chosen, at in (
        ("later", later, leads.start),
        ("open", leads.at_risk(as_of_day), as_of_day + 0 * leads.start),
    ):
        rows = np.flatnonzero(chosen)
        converted = leads.converted[rows] < at[rows] + HORIZON_DAYS
        texts = {column: values[rows] for column, values in categories.items()}
        result.append(Case(name, at[rows] - leads.start[rows], texts, converted))
    return result[0], result[1]


def naive(leads: Leads, categories: dict[str, Texts], as_of_day: float, case: Case) -> Array:
    """Return the share of all leads so far that had converted, by category, as if every lead had
    had its time.
    """
    begun = leads.start < as_of_day
    won = begun & (leads.converted < as_of_day)
    everyone = Exposure(
        begun[:, None].astype(np.float64), won.astype(np.float64), np.where(won, 0, -1)
    )
    rates, effects = fit_effects(everyone, categories)
    rows = len(case.age)
    return np.asarray(
        np.clip(rates[0] * multiplier(effects, case.categories, rows), 1e-6, 1 - 1e-6)
    )


def fitted(
    leads: Leads,
    categories: dict[str, Texts],
    as_of_day: float,
    half_life_days: float | None,
    *,
    since: bool = True,
) -> LeadConversion:
    """Return the model, with another half-life, or with exposure before the first deal."""
    known_leads = leads if since else Leads(leads.start, leads.converted, float("nan"))
    return fit_lead_conversion(
        known_leads, as_of_day, HORIZON_DAYS, categories, half_life_days=half_life_days
    )


def judged(p: Array, case: Case) -> dict[str, float]:
    """Return AUC, log loss, log loss of the share that came, mean gap over deciles, mean of p
    and that share.
    """
    share = float(case.converted.mean())
    return {
        "auc": metrics.auc(case.converted, p),
        "log_loss": metrics.log_loss(case.converted, p),
        "base_log_loss": metrics.log_loss(case.converted, np.full(len(p), share)),
        "calibration": metrics.calibration_error(case.converted, p),
        "mean_p": float(p.mean()),
        "share": share,
    }


def results(folder: Path = FOLDER) -> pd.DataFrame:
    """Return one row per as_of, case and model."""
    rows = []
    with funnel(folder) as log:
        _, everything, texts = known(log, log.choose_as_of())
        for text in AS_OFS:
            as_of = parse_instant(text)
            day = day_number(as_of)
            _, leads, categories = known(log, as_of)
            models = {
                "hazard": fitted(leads, categories, day, HALF_LIFE_DAYS),
                "half-life 60": fitted(leads, categories, day, 60.0),
                "half-life none": fitted(leads, categories, day, None),
                "since log began": fitted(leads, categories, day, HALF_LIFE_DAYS, since=False),
            }
            for case in cases(everything, texts, day):
                predicted = {
                    name: model.probability({"tenure_days": case.age}, case.categories)
                    for name, model in models.items()
                }
                predicted["naive"] = naive(leads, categories, day, case)
                for name, p in predicted.items():
                    rows.append(
                        {
                            "as_of": text,
                            "leads": case.name,
                            "n": len(p),
                            "model": name,
                            **judged(p, case),
                        }
                    )
    return pd.DataFrame(rows)


def means(table: pd.DataFrame) -> dict[tuple[str, str], dict[str, float]]:
    """Return the figures of each kind of lead and model, as means over the dates."""
    grouped = table.drop(columns=["as_of", "n"]).groupby(["leads", "model"], sort=False).mean()
    rows = grouped.reset_index().to_dict("records")
    return {
        (str(row.pop("leads")), str(row.pop("model"))): {
            str(name): float(value) for name, value in row.items()
        }
        for row in rows
    }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "folder", nargs="?", type=Path, default=FOLDER, help="holds the two CSV files of the funnel"
    )
    folder = parser.parse_args(arguments).folder
    if folder == FOLDER and not folder.is_dir():
        click.echo(f"{folder} is not there: the funnel is left out", err=True)
        return
    if missing := [name for name in (LEADS, DEALS) if not (folder / name).is_file()]:
        parser.error(
            f"{folder} has no {missing[0]}; take both files from Kaggle, "
            "olistbr/marketing-funnel-olist"
        )
    table = results(folder)
    click.echo(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    click.echo("\nmeans over the dates")
    lines = pd.DataFrame(
        [{"leads": kind, "model": name, **row} for (kind, name), row in means(table).items()]
    )
    click.echo(lines.to_string(index=False, float_format=lambda value: f"{value:.4f}"))


if __name__ == "__main__":
    main(sys.argv[1:])
