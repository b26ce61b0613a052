"""Presets: how the exports of shops, payment services and CRMs are read.

A preset names columns, order states and formats that a user would otherwise declare. It is applied
only where it is asked for (``--preset shopify``); whatever the user declares takes its place. What
an export may lack (older versions, columns left out) is an alternative or is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from stagecast.features.errors import DataRefusedError

Alternatives = tuple[str, ...]
"""Columns or expressions of which the first is taken whose columns the export has."""


@dataclass(frozen=True)
class Beside:
    """A file beside the export in which columns are looked up.

    Parameters
    ----------
    file
        Its name.
    key
        Column that the two have in common; it may have been looked up itself.
    columns
        Columns that are looked up.
    """

    file: str
    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Preset:
    """How one kind of export is read.

    Parameters
    ----------
    title
        The export, in words.
    known_by
        Columns that every version of the export has; each may be one of several, parted by ``|``.
    parts
        Part of an event -> (columns that it needs, column or expression), the best first.
    where
        (Columns that it needs, condition) of the rows that are read; all that fit are joined.
    beside
        Files beside the export in which columns are looked up, in this order.
    time_format, thousands, currency_sign
        As of :class:`stagecast.features.intake.options.ReadOptions`; None: as there.
    """

    title: str
    known_by: tuple[str, ...]
    parts: Mapping[str, tuple[tuple[Alternatives, str], ...]]
    where: tuple[tuple[Alternatives, str], ...] = ()
    beside: tuple[Beside, ...] = ()
    time_format: str | None = None
    thousands: str | None = None
    currency_sign: str | None = None


@dataclass(frozen=True)
class Applied:
    """What a preset declares for the columns of one export.

    Parameters
    ----------
    parts
        Part of an event -> column or expression.
    where
        Condition of the rows that are read; None: all are.
    options
        Name of another option -> its value.
    """

    parts: Mapping[str, str]
    where: str | None
    options: Mapping[str, str] = field(default_factory=dict)


def _column(*names: str) -> tuple[tuple[Alternatives, str], ...]:
    """Return alternatives that are columns, the first that is there."""
    return tuple(((name,), name) for name in names)


def _less_refund(total: str, refunded: str) -> tuple[tuple[Alternatives, str], ...]:
    """Return the amount less what was refunded of it, where the export says so."""
    return (
        ((total, refunded), f'"{total}" - coalesce("{refunded}", 0)'),
        ((total,), total),
    )


def _is_none_of(column: str, states: str) -> tuple[Alternatives, str]:
    listed = ", ".join(f"'{state}'" for state in states.split(","))
    return (column,), f"NOT lower(coalesce(\"{column}\", '')) IN ({listed})"


def _is_won(column: str) -> tuple[Alternatives, str]:
    return (column,), f"lower(\"{column}\") LIKE '%won%'"


PRESETS: Mapping[str, Preset] = {
    "shopify": Preset(
        "orders export of Shopify",
        (
            "Name",
            "Email",
            "Financial Status",
            "Created at",
            "Total",
            "Lineitem name|Lineitem quantity",
        ),
        {
            "customer": _column("Email"),
            "time": _column("Created at"),
            "amount": _less_refund("Total", "Refunded Amount"),
            "currency": _column("Currency"),
            "channel": _column("Source"),
            "discount": _column("Discount Amount"),
        },
        (
            # an order has a row for each of its items, and its totals stand on the first
            (("Total",), "Total IS NOT NULL"),
            _is_none_of("Financial Status", "voided,refunded,expired"),
            (("Cancelled at",), '"Cancelled at" IS NULL'),
        ),
    ),
    "woocommerce": Preset(
        "orders of WooCommerce, by its Import Export Suite",
        ("order_date", "order_total", "status|order_status", "billing_email|customer_email"),
        {
            "customer": _column("customer_email", "billing_email"),
            "time": _column("order_date"),
            "amount": _column("order_total"),
            "currency": _column("order_currency"),
            "event_id": _column("order_id"),
            "discount": _column("discount_total"),
        },
        tuple(
            _is_none_of(
                column,
                ",".join(
                    prefix + state
                    for prefix in ("", "wc-")
                    for state in (
                        *("pending", "failed", "cancelled", "refunded"),
                        *("checkout-draft", "trash"),
                    )
                ),
            )
            for column in ("status", "order_status")
        ),
    ),
    "stripe": Preset(
        "payments export of Stripe",
        ("id", "Created date (UTC)|Created (UTC)", "Amount", "Currency", "Status"),
        {
            "customer": (
                (
                    ("Customer ID", "Customer Email"),
                    'coalesce("Customer ID", "Customer Email")',
                ),
                *_column("Customer ID", "Customer Email"),
            ),
            "time": _column("Created date (UTC)", "Created (UTC)"),
            "amount": _less_refund("Amount", "Amount Refunded"),
            "currency": _column("Currency"),
            "event_id": _column("id"),
        },
        (
            (("Status",), "lower(Status) IN ('paid', 'succeeded', 'partially refunded')"),
            (
                ("Amount", "Amount Refunded"),
                'Amount > coalesce("Amount Refunded", 0)',
            ),
        ),
        thousands=",",
    ),
    "magento": Preset(
        "grid of orders of Magento 2 (Adobe Commerce)",
        ("ID", "Purchase Date", "Grand Total (Base)", "Status", "Customer Email"),
        {
            "customer": _column("Customer Email"),
            "time": _column("Purchase Date"),
            "amount": _less_refund("Grand Total (Base)", "Total Refunded"),
            "event_id": _column("ID"),
        },
        (
            _is_none_of(
                "Status",
                "canceled,closed,fraud,suspected fraud,pending_payment,pending payment,"
                "payment_review,payment review",
            ),
        ),
    ),
    "bigcommerce": Preset(
        "orders export of BigCommerce, default template",
        ("Order ID", "Order Date", "Order Status", "Order Total (inc tax)", "Customer Email"),
        {
            "customer": _column("Customer Email"),
            "time": _column("Order Date"),
            "amount": _less_refund("Order Total (inc tax)", "Refund Amount"),
            "currency": _column("Order Currency Code"),
            "event_id": _column("Order ID"),
        },
        (
            _is_none_of(
                "Order Status",
                "incomplete,pending,declined,cancelled,refunded,awaiting payment,disputed",
            ),
        ),
    ),
    "square": Preset(
        "export of transactions or items of Square",
        ("Date", "Time", "Net Sales", "Transaction ID", "Event Type", "Customer ID"),
        {
            "customer": _column("Customer ID"),
            "time": ((("Date", "Time"), "Date || ' ' || Time"),),
            "amount": _column("Net Sales"),
            "event": (
                (
                    ("Event Type",),
                    "CASE WHEN lower(\"Event Type\") = 'refund' THEN 'refund' ELSE 'purchase' END",
                ),
            ),
            "category": _column("Category"),
            "discount": _column("Discounts"),
        },
        thousands=",",
        currency_sign="$",
    ),
    "olist": Preset(
        "payments of the Brazilian shops of Olist (olist_order_payments_dataset.csv)",
        ("order_id", "payment_sequential", "payment_type", "payment_value"),
        {
            # customer_id is another one for each order
            "customer": _column("customer_unique_id"),
            "time": _column("order_purchase_timestamp"),
            "amount": _column("payment_value"),
            "currency": (((), "'BRL'"),),
        },
        (_is_none_of("order_status", "canceled,unavailable"),),
        beside=(
            Beside(
                "olist_orders_dataset.csv",
                "order_id",
                ("customer_id", "order_status", "order_purchase_timestamp"),
            ),
            Beside("olist_customers_dataset.csv", "customer_id", ("customer_unique_id",)),
        ),
    ),
    "ga4": Preset(
        "events of Google Analytics 4, from its BigQuery export, flattened",
        ("event_timestamp", "event_name", "user_pseudo_id"),
        {
            "customer": (
                (("user_id", "user_pseudo_id"), "coalesce(user_id, user_pseudo_id)"),
                *_column("user_pseudo_id"),
            ),
            "time": _column("event_timestamp"),
            "event": _column("event_name"),
            "amount": _column(
                "ecommerce.purchase_revenue",
                "ecommerce_purchase_revenue",
                "purchase_revenue",
            ),
            "channel": _column("traffic_source.medium", "traffic_source_medium"),
        },
        time_format="unix-us",
    ),
    "hubspot": Preset(
        "deals export of HubSpot",
        ("Record ID", "Deal Stage", "Close Date", "Amount"),
        {
            "customer": _column(
                "Associated Company IDs",
                "Associated Company",
                "Associated Contact IDs",
                "Associated Contact",
            ),
            "time": _column("Close Date"),
            "amount": _column("Amount"),
            "currency": _column("Currency"),
            "event_id": _column("Record ID"),
        },
        (_is_won("Deal Stage"),),
    ),
    "salesforce": Preset(
        "opportunities of Salesforce, as a report or by Data Loader",
        ("Account Name|Account ID|AccountId", "Stage|StageName", "Close Date|CloseDate", "Amount"),
        {
            "customer": _column("AccountId", "Account ID", "Account Name"),
            "time": _column("CloseDate", "Close Date"),
            "amount": _column("Amount"),
            "currency": _column("CurrencyIsoCode", "Amount Currency"),
            "event_id": _column("Id", "Opportunity ID"),
        },
        (_is_won("StageName"), _is_won("Stage")),
    ),
}
"""Name of a preset -> how its export is read."""


def columns_beside(preset: Preset) -> list[str]:
    """Return the columns that are looked up beside an export."""
    return [column for beside in preset.beside for column in beside.columns]


def fits(preset: Preset, columns: Collection[str]) -> bool:
    """Return whether columns are those of the export of a preset."""
    return not missing_columns(preset, columns)


def missing_columns(preset: Preset, columns: Collection[str]) -> list[str]:
    """Return the columns by which an export is known, and which are not there."""
    return [
        names for names in preset.known_by if not any(name in columns for name in names.split("|"))
    ]


def fitting_presets(columns: Collection[str]) -> list[str]:
    """Return the names of the presets whose export has such columns.

    >>> fitting_presets(["Record ID", "Deal Name", "Deal Stage", "Close Date", "Amount"])
    ['hubspot']
    """
    return [name for name, preset in PRESETS.items() if fits(preset, columns)]


def apply_preset(name: str, columns: Collection[str], source: str) -> Applied:
    """Return what a preset declares for an export with these columns.

    Parameters
    ----------
    name
        Name of the preset.
    columns
        Names of the columns of the export.
    source
        Name of the source in error messages.

    Raises
    ------
    DataRefusedError
        The source lacks columns by which the export is known; the message holds them.

    >>> columns = ["Record ID", "Deal Stage", "Close Date", "Amount", "Associated Company"]
    >>> apply_preset("hubspot", columns, "deals.csv").parts["customer"]
    'Associated Company'
    """
    preset = PRESETS[name]
    lacking = missing_columns(preset, columns)
    parts = {
        part: expression
        for part, alternatives in preset.parts.items()
        if (expression := _first_fitting(alternatives, columns)) is not None
    }
    if "customer" not in parts:
        names = (needed[0] for needed, _ in preset.parts["customer"])
        lacking.append("|".join(dict.fromkeys(names)))
    if lacking:
        raise DataRefusedError(
            f"{source} is no {preset.title}: it lacks "
            f"{', '.join(' or '.join(map(repr, names.split('|'))) for names in lacking)}. Leave "
            f"--preset {name} out, and map its columns"
        )
    conditions = [
        condition
        for needed, condition in preset.where
        if all(column in columns for column in needed)
    ]
    options = {
        "time_format": preset.time_format,
        "thousands": preset.thousands,
        "currency_sign": preset.currency_sign,
    }
    return Applied(
        parts,
        " AND ".join(f"({condition})" for condition in conditions) or None,
        {option: value for option, value in options.items() if value is not None},
    )


def _first_fitting(
    alternatives: tuple[tuple[Alternatives, str], ...], columns: Collection[str]
) -> str | None:
    for needed, expression in alternatives:
        if all(column in columns for column in needed):
            return expression
    return None
