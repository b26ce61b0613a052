"""Links of the list of customers: its filters, columns and order in the address."""

from __future__ import annotations

from collections.abc import Mapping
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


def parameters_of(query: ListQuery) -> list[tuple[str, str]]:
    """Return the parameters of a list that are not at their default, without the cursor."""
    min_value = None if query.min_value is None else plain_number(query.min_value)
    single_values = (
        ("band", query.band),
        ("state", query.state),
        ("play", query.play),
        ("changed", query.changed),
        ("min_value", min_value),
        ("q", query.q),
    )
    parameters = [("stage", stage) for stage in query.stage]
    parameters += [(name, value) for name, value in single_values if value is not None]
    parameters += [("column", column) for column in query.column]
    if query.sort is not None:
        parameters.append(("sort", query.sort))
    return parameters


def file_link(query: ListQuery, file_format: str) -> str:
    """Return the link of the whole list as a file with the columns of the page."""
    parameters = [pair for pair in parameters_of(query) if pair[0] != "column"]
    columns = [("column", column) for column in query.columns]
    ending = [("format", file_format), ("limit", "all")]
    return link("/v1/customers", [*parameters, *columns, *ending])


def plan_link(query: ListQuery) -> str | None:
    """Return the link of a plan for the whole list; None where a plan has no such filter."""
    if query.min_value is not None or query.q or query.changed:
        return None
    names = ("stage", "play", "band", "state")
    return link("/plans/new", [pair for pair in parameters_of(query) if pair[0] in names])


def chips(
    query: ListQuery, titles: Mapping[str, str], plays: Mapping[str, str], language: str = "en"
) -> list[dict[str, str]]:
    """Return each filter with its value and the link of the list without it."""
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
            "value": labels.get(name, {}).get(value, value),
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
