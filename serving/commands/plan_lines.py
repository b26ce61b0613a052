"""What ``stagecast plan`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stagecast.serving.commands.console import table
from stagecast.serving.jobs.plans import MadePlan
from stagecast.serving.targeting.plan.files import Written
from stagecast.serving.targeting.plan.forecast import takes_everybody
from stagecast.serving.targeting.plan.stored import Plan
from stagecast.serving.targeting.plan.suppression import REASONS


def proposal_lines(made: MadePlan) -> list[str]:
    """Return what a plan would be."""
    lines = [
        f"Plan {made.plan.name!r}, a draft" if made.plan else "A plan that is not stored",
        f"Scores of {made.run.as_of:%Y-%m-%d}, model {made.run.model_version}; orders count for "
        f"{made.forecast.window_days} days.",
        *_forecast(made.forecast.to_json()),
    ]
    if made.first:
        lines += ["", "The first who would be contacted, and what each is expected to bring:"]
        lines += [f"  {_printable(id_)}  {gain:,.2f}" for id_, gain in made.first]
    if made.plan:
        lines += ["", f"To fix the list: stagecast plan freeze {made.plan.name}"]
    elif made.first:
        lines += ["", "To store it, give it a name: --name autumn"]
    return lines


def plan_lines(plan: Plan) -> list[str]:
    """Return what a stored plan is."""
    owner = f" of {plan.owner}" if plan.owner else ""
    return [
        f"Plan {plan.name!r}{owner}: {plan.state}",
        f"Scores of {plan.as_of:%Y-%m-%d}; orders count from {plan.starts_at:%Y-%m-%d} to "
        f"{plan.ends_at:%Y-%m-%d}.",
        *_forecast(plan.proposal),
    ]


def frozen_lines(plan: Plan) -> list[str]:
    """Return what freezing did."""
    return [
        *plan_lines(plan),
        "",
        f"The list is fixed (SHA-256 {plan.digest}).",
        f"  to send from it:   stagecast plan export {plan.name} --out {plan.name}.csv",
        f"  when it was sent:  stagecast plan sent {plan.name}",
        f"  after {plan.ends_at:%Y-%m-%d}:  stagecast plan readout {plan.name} EVENTS",
    ]


def list_lines(plans: Sequence[Plan]) -> list[str]:
    """Return the plans as a table."""
    if not plans:
        return ["No plan was made yet: stagecast plan --name NAME --contacts 500"]
    rows = [["name", "state", "owner", "starts", "ends", "contacts", "held out", "expected gain"]]
    for plan in plans:
        contacts = plan.proposal["contacts"]
        rows.append(
            [
                plan.name,
                plan.state,
                plan.owner,
                f"{plan.starts_at:%Y-%m-%d}",
                f"{plan.ends_at:%Y-%m-%d}",
                f"{contacts['contacts']:,}",
                f"{plan.proposal['held_out']:,}",
                f"{contacts['gain']:,.2f}",
            ]
        )
    return table(rows, {5, 6, 7})


def export_lines(written: Written) -> list[str]:
    """Return what was written."""
    lines = [f"{written.out}: {written.customers:,} customers"]
    if written.without_address:
        lines.append(
            f"{written.without_address:,} customers are left out: no address of theirs is stored "
            "(stagecast plan profiles FILE)"
        )
    return lines


def _money(contacts: Mapping[str, Any]) -> list[str]:
    """Return what is expected to be lost, and what may return; a plan that an earlier version
    stored knows neither.
    """
    parts = (("value at risk", "value_at_risk"), ("may return", "may_return"))
    return [f"  {words:<18} {contacts[name]:,.2f}" for words, name in parts if contacts.get(name)]


def _forecast(forecast: Mapping[str, Any]) -> list[str]:
    contacts = forecast["contacts"]
    lines = ["", _whom(forecast)]
    if contacts["contacts"]:
        lines += [
            f"  expected gain      {contacts['gain']:,.2f}  ({contacts['gross']:,.2f} saved and "
            f"won back, {contacts['cost']:,.2f} cost)",
            *_money(contacts),
            f"  would not order    {contacts['leavers']:,.1f} of them without a contact",
            f"  would order anyway {contacts['stayers']:,.1f}"
            + (
                f", to whom offers of {contacts['paid_to_stayers']:,.2f} are paid"
                if contacts["paid_to_stayers"]
                else ""
            ),
            *(
                [f"  to leave the hold-out alone gives up {forecast['holdout_cost']:,.2f}"]
                if forecast["held_out"]
                else []
            ),
            *_rankings(forecast),
            *_best_cut(forecast),
            *_by_play(forecast),
        ]
    lines += [
        f"  {number:,} left out: {REASONS[reason]}"
        for reason, number in forecast["left_out"].items()
    ]
    for name in ("can_show_buyers", "can_show_money"):
        shown = forecast[name]
        if shown is not None:
            what = "Buyers" if name == "can_show_buyers" else "Money"
            lines.append(f"{what}: {shown['sentence']}")
    return [*lines, *forecast["notes"]]


def _whom(forecast: Mapping[str, Any]) -> str:
    contacts, considered = forecast["contacts"]["contacts"], forecast["considered"]
    if not considered:
        return "No customer of the scores passes the filters; widen them."
    if not contacts:
        return f"None of the {considered:,} customers would be contacted:"
    held_out = f", and {forecast['held_out']:,} drawn at random are left alone to compare with"
    return (
        f"Of {considered:,} customers {contacts:,} would be contacted"
        f"{held_out if forecast['held_out'] else ''}."
    )


def _rankings(forecast: Mapping[str, Any]) -> list[str]:
    ranked = forecast["rankings"]
    if takes_everybody(forecast):
        return [
            "  everybody who may be contacted is on the list: no other choice to compare it with"
        ]
    return [
        f"  for no more contacts and money: by risk alone {ranked['risk']:,.2f}, by value alone "
        f"{ranked['value']:,.2f}, at random {ranked['random']:,.2f}"
    ]


def _printable(id_: str) -> str:
    """Return an id on one line; what is not printed, such as the end of a line, as an escape."""
    return id_ if id_.isprintable() else ascii(id_)


def _best_cut(forecast: Mapping[str, Any]) -> list[str]:
    best = forecast["curve"]["best"]
    if best["contacts"] <= forecast["contacts"]["contacts"] + forecast["held_out"]:
        return ["  no further contact is expected to pay"]
    return [
        f"  the gain is largest with {best['contacts']:,} contacts: {best['gain']:,.2f} at a cost "
        f"of {best['cost']:,.2f}"
    ]


def _by_play(forecast: Mapping[str, Any]) -> list[str]:
    if len(forecast["by_play"]) < 2:
        return []
    rows = [["  play", "contacts", "cost", "expected gain"]]
    for play, part in forecast["by_play"].items():
        cost, gain = f"{part['cost']:,.2f}", f"{part['gain']:,.2f}"
        rows.append([f"  {play}", f"{part['contacts']:,}", cost, gain])
    return table(rows, {1, 2, 3})
