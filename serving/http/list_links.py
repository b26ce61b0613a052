"""Links of the list of customers: its filters, columns and order in the address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stagecast.serving.http.lists import ListQuery
from stagecast.serving.languages.texts import texts_of
from stagecast.serving.reports.rendering import link, plain_number
from stagecast.serving.store.queries import Order

# the first click on one of these columns sorts ascending; on any other, descending
_ASCENDING_FIRST = frozenset(
    {"customer_id", "stage", "recency_days", "next_order_date", "window_closes"}
)
_AMOUNTS = ("min_value", "clv_above", "clv_at_most")


def parameters_of(query: ListQuery) -> list[tuple[str, str]]:
    """Return the parameters of a list that are not at their default, without the cursor."""
    min_value, clv_above, clv_at_most = (
        None if value is None else plain_number(value)
        for value in (query.min_value, query.clv_above, query.clv_at_most)
    )
    single_values = (
        ("band", query.band),
        ("state", query.state),
        ("play", query.play),
        ("changed", query.changed),
        ("min_value", min_value),
        ("clv_above", clv_above),
        ("clv_at_most", clv_at_most),
        ("q", query.q),
    )
    parameters = [("stage", stage) for stage in query.stage]
    parameters += [(name, value) for name, value in single_values if value is not None]
    parameters += [("column", column) for column in query.column]
    if query.sort is not None:
        parameters.append(("sort", query.sort))
    return parameters


def file_link(query: ListQuery, columns: Sequence[str], file_format: str) -> str:
    """Return the link of the whole list as a file with the columns of the page."""
    parameters = [pair for pair in parameters_of(query) if pair[0] != "column"]
    ending = [("format", file_format), ("limit", "all")]
    shown = [("column", column) for column in columns]
    return link("/v1/customers", [*parameters, *shown, *ending])


def cell_link(cell: Mapping[str, Any]) -> str | None:
    """Return the link of the list of a cell of risk and value; None where its limits are not
    known.
    """
    if "clv_above" not in cell:
        return None
    limits = [(name, cell[name]) for name in ("clv_above", "clv_at_most")]
    known = [(name, plain_number(value)) for name, value in limits if value is not None]
    return link("/customers", [("band", cell["band"]), *known])


def plan_link(query: ListQuery) -> str | None:
    """Return the link of a plan for the whole list; None where a plan has no such filter."""
    if query.min_value is not None or query.q or query.changed:
        return None
    if (query.clv_above, query.clv_at_most) != (None, None):
        return None
    names = ("stage", "play", "band", "state")
    return link("/plans/new", [pair for pair in parameters_of(query) if pair[0] in names])


def chips(
    query: ListQuery, titles: Mapping[str, str], plays: Mapping[str, str], language: str = "en"
) -> list[dict[str, Any]]:
    """Return each filter with its value and the link of the list without it; one on an amount
    has ``amount`` in the place of the value.
    """
    words = texts_of(language)
    labels: dict[str, Mapping[str, str]] = {
        "stage": titles,
        "play": plays,
        "band": words["bands"],
        "state": words["states"],
        "changed": words["changed"],
    }
    parameters = parameters_of(query)
    return [
        {
            "name": words["chips"][name],
            **(
                {"amount": float(value)}
                if name in _AMOUNTS
                else {"value": labels.get(name, {}).get(value, value)}
            ),
            "link": link("/customers", [*parameters[:place], *parameters[place + 1 :]]),
        }
        for place, (name, value) in enumerate(parameters)
        if name in words["chips"]
    ]


def head(column: str, order: Order, parameters: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the link of a column's head, and how the list is sorted by the column."""
    ranked = order.column == column
    next_order = (
        replace(order, descending=not order.descending)
        if ranked
        else Order(column, column not in _ASCENDING_FIRST)
    )
    return {
        "link": link("/customers", [*parameters, ("sort", str(next_order))]),
        "aria": ("descending" if order.descending else "ascending") if ranked else None,
    }
