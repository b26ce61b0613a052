"""What ``stagecast plan`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stagecast.features.intake.counted import counted
from stagecast.features.shop.clock import ShopClock
from stagecast.serving.commands.console import table
from stagecast.serving.jobs.plans import MadePlan
from stagecast.serving.reports.shop_days import day_on
from stagecast.serving.targeting.plan.counts import counts_of, title
from stagecast.serving.targeting.plan.files import Written
from stagecast.serving.targeting.plan.forecast import takes_everybody
from stagecast.serving.targeting.plan.stored import Plan
from stagecast.serving.targeting.plan.suppression import REASONS


def proposal_lines(made: MadePlan) -> list[str]:
    """Return what a plan would be."""
    forecast = made.forecast.to_json()
    lines = [
        f"Plan {made.plan.name!r}, a draft" if made.plan else "A plan that is not stored",
        f"Scores of {day_on(made.run.clock, made.run.as_of)}, model {made.run.model_version}; "
        f"{_what(forecast)} count for {counted(made.forecast.window_days, 'day')}.",
        *(f"warning: {warning}" for warning in made.warnings),
        *_forecast(forecast),
    ]
    if made.first:
        lines += ["", "The first who would be contacted, and what each is expected to bring:"]
        lines += [f"  {_printable(id_)}  {gain:z,.2f}" for id_, gain in made.first]
    if made.plan:
        lines += ["", f"To fix the list: stagecast plan freeze {made.plan.name}"]
    elif made.first:
        lines += ["", "To store it, give it a name: --name autumn"]
    return lines


def plan_lines(plan: Plan, clock: ShopClock) -> list[str]:
    """Return what a stored plan is; days are those of the shop."""
    owner = f" of {plan.owner}" if plan.owner else ""
    return [
        f"Plan {plan.name!r}{owner}: {plan.state}",
        f"Scores of {day_on(clock, plan.as_of)}; {_what(plan.proposal)} count from "
        f"{day_on(clock, plan.starts_at)} to {day_on(clock, plan.ends_at)}.",
        *_forecast(plan.proposal),
    ]


def frozen_lines(plan: Plan, clock: ShopClock) -> list[str]:
    """Return what freezing did."""
    return [
        *plan_lines(plan, clock),
        "",
        f"The list is fixed (SHA-256 {plan.digest}).",
        f"  to send from it:   stagecast plan export {plan.name} --out {plan.name}.csv",
        f"  when it was sent:  stagecast plan sent {plan.name}",
        f"  after {day_on(clock, plan.ends_at)}:  stagecast plan readout {plan.name} EVENTS",
    ]


def list_lines(plans: Sequence[Plan], clocks: Mapping[int, ShopClock]) -> list[str]:
    """Return the plans as a table; ``clocks`` are those of their runs."""
    if not plans:
        return ["No plan was made yet: stagecast plan --name NAME --contacts 500"]
    rows = [["name", "state", "owner", "starts", "ends", "contacts", "held out", "expected gain"]]
    for plan in plans:
        contacts, clock = plan.proposal["contacts"], clocks[plan.run_id]
        rows.append(
            [
                plan.name,
                plan.state,
                plan.owner,
                day_on(clock, plan.starts_at),
                day_on(clock, plan.ends_at),
                f"{contacts['contacts']:,}",
                f"{plan.proposal['held_out']:,}",
                f"{contacts['gain']:z,.2f}",
            ]
        )
    return table(rows, {5, 6, 7})


def export_lines(written: Written) -> list[str]:
    """Return what was written."""
    lines = [f"{written.out}: {counted(written.customers, 'customer')}"]
    if written.without_address:
        are = "is" if written.without_address == 1 else "are"
        lines.append(
            f"{counted(written.without_address, 'customer')} {are} left out: no address of theirs "
            "is stored (stagecast plan profiles FILE)"
        )
    return lines


def _money(forecast: Mapping[str, Any], width: int) -> list[str]:
    """Return what the gain is a share of, and what may return; a plan that an earlier version
    stored does not know all of it.
    """
    contacts, lines = forecast["contacts"], []
    worth, gone = forecast.get("worth"), contacts.get("value_gone") or 0.0
    if worth is not None:
        saying = "what the gain counts of a customer who would leave, and is kept or back"
        lines.append(f"  {'worth':<{width}} {worth:,.2f}, {saying}")
    of_value = worth is None and "won_back" in contacts
    at_risk = contacts.get("value_at_risk") or 0.0
    if of_value:
        of_all, saved = contacts["at_stake"] - gone, contacts["gross"] - contacts["won_back"]
        of_lapsed = round(of_all - at_risk, 2)
        whose = f" of the active and {of_lapsed:,.2f} of the lapsed" if of_lapsed > 0 else ""
        if round(of_all, 2) > 0:
            lines.append(
                f"  {'value at risk':<{width}} {at_risk:,.2f}{whose}, of which contacts save "
                f"{saved:z,.2f}"
            )
    elif at_risk:
        lines.append(f"  {'value at risk':<{width}} {at_risk:,.2f}")
    if of_value and gone:
        back = contacts["won_back"]
        lines.append(
            f"  {'value gone':<{width}} {gone:,.2f}, of which contacts bring back {back:z,.2f}"
        )
    if back := contacts.get("may_return"):
        of_gone = " of the value gone, without a contact" if of_value and gone else ""
        lines.append(f"  {'may return':<{width}} {back:,.2f}{of_gone}")
    return lines


def _of_contracts(forecast: Mapping[str, Any]) -> bool:
    """Return whether to leave is to cancel; a plan of an earlier version is about orders."""
    return bool(forecast.get("churn") == "cancellation")


def _what(forecast: Mapping[str, Any]) -> str:
    return "contracts" if _of_contracts(forecast) else "orders"


def _leave_and_stay(forecast: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    """Return what customers would do without a contact: words, number, and of how many of whom.

    Of contracts, who has one may cancel, and who had one may come back. A plan that an earlier
    version stored does not know how many these are.
    """
    contacts = forecast["contacts"]
    leavers, stayers = contacts["leavers"], contacts["stayers"]
    if not _of_contracts(forecast):
        return [("would not order", leavers, "of them"), ("would order anyway", stayers, "")]
    if (former := contacts.get("former")) is None:
        return [
            ("would cancel or stay away", leavers, "of them"),
            ("would be customers", stayers, ""),
        ]
    away, number = contacts["former_leavers"], contacts["contacts"]
    parts: list[tuple[str, float, str]] = []
    if former < number:
        whose = f"of the {number - former:,} with an open contract"
        parts += [
            ("would cancel", leavers - away, whose),
            ("would stay anyway", stayers - (former - away), ""),
        ]
    if former:
        whose = f"of the {counted(former, 'former customer')}"
        parts += [
            ("would not come back", away, whose),
            ("would come back", former - away, ""),
        ]
    return parts


def _without_contact(forecast: Mapping[str, Any], width: int) -> list[str]:
    """Return what the contacted would do without a contact, and what offers to them cost."""
    parts = _leave_and_stay(forecast)
    lines = [
        f"  {words:<{width}} {number:z,.1f}" + (f" {whom} without a contact" if whom else "")
        for words, number, whom in parts
    ]
    if paid := forecast["contacts"]["paid_to_stayers"]:
        if len(parts) > 2:
            lines.append(f"  offers of {paid:,.2f} are paid to who would stay or come back anyway")
        else:
            lines[-1] += f", to whom offers of {paid:,.2f} are paid"
    return lines


def _forecast(forecast: Mapping[str, Any]) -> list[str]:
    contacts = forecast["contacts"]
    lines = ["", _whom(forecast)]
    if contacts["contacts"]:
        width = max(18, *(len(words) for words, _, _ in _leave_and_stay(forecast)))
        lines += [
            f"  {'expected gain':<{width}} {contacts['gain']:z,.2f}  ({contacts['gross']:,.2f} "
            f"saved and won back, {contacts['cost']:,.2f} cost)",
            *_money(forecast, width),
            *_without_contact(forecast, width),
            *(
                [f"  to leave the hold-out alone gives up {forecast['holdout_cost']:z,.2f}"]
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
    buyers = title(counts_of(forecast)).removeprefix("extra ").capitalize()
    for name, what in (("can_show_buyers", buyers), ("can_show_money", "Money")):
        shown = forecast[name]
        if shown is not None:
            lines.append(f"{what}: {shown['sentence']}")
    lines += forecast["notes"]
    if any(note.startswith("The effects are learned from ") for note in forecast["notes"]):
        lines.append("To take the assumed effects: --effects assumed.")
    return lines


def _whom(forecast: Mapping[str, Any]) -> str:
    contacts, considered = forecast["contacts"]["contacts"], forecast["considered"]
    if not considered:
        return "No customer of the scores passes the filters; widen them."
    if not contacts:
        if considered == 1:
            return "The 1 customer would not be contacted:"
        return f"None of the {considered:,} customers would be contacted:"
    are = "is" if forecast["held_out"] == 1 else "are"
    held_out = f", and {forecast['held_out']:,} drawn at random {are} left alone to compare with"
    return (
        f"Of {counted(considered, 'customer')} {contacts:,} would be contacted"
        f"{held_out if forecast['held_out'] else ''}."
    )


def _rankings(forecast: Mapping[str, Any]) -> list[str]:
    ranked = forecast["rankings"]
    if takes_everybody(forecast):
        return [
            "  everybody who may be contacted is on the list: no other choice to compare it with"
        ]
    return [
        f"  for no more contacts and money: by risk alone {ranked['risk']:z,.2f}, by value alone "
        f"{ranked['value']:z,.2f}, at random {ranked['random']:z,.2f}"
    ]


def _printable(id_: str) -> str:
    """Return an id on one line; what is not printed, such as the end of a line, as an escape."""
    return id_ if id_.isprintable() else ascii(id_)


def _best_cut(forecast: Mapping[str, Any]) -> list[str]:
    best = forecast["curve"]["best"]
    if best["contacts"] <= forecast["contacts"]["contacts"] + forecast["held_out"]:
        return ["  no further contact is expected to pay"]
    contacts = counted(best["contacts"], "contact")
    return [
        f"  the gain is largest with {contacts}: {best['gain']:z,.2f} at a cost of "
        f"{best['cost']:,.2f}"
    ]


def _by_play(forecast: Mapping[str, Any]) -> list[str]:
    if len(forecast["by_play"]) < 2:
        return []
    rows = [["  play", "contacts", "cost", "expected gain"]]
    for play, part in forecast["by_play"].items():
        cost, gain = f"{part['cost']:,.2f}", f"{part['gain']:z,.2f}"
        rows.append([f"  {play}", f"{part['contacts']:,}", cost, gain])
    return table(rows, {1, 2, 3})
