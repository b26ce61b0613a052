"""Presets: how the exports of shops, payment services and CRMs are read.

A preset names columns, order states and formats that a user would otherwise declare. It is applied
only where it is asked for (``--preset shopify``); whatever the user declares takes its place. What
an export may lack (older versions, columns left out) is an alternative or is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from stagecast.features.intake.vendor_export import (
    Applied,
    Beside,
    Preset,
    applied,
    column,
    fits,
    is_none_of,
    is_won,
    less_refund,
)

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
            "customer": column("Email"),
            "time": column("Created at"),
            "amount": less_refund("Total", "Refunded Amount"),
            "currency": column("Currency"),
            "channel": column("Source"),
            "discount": column("Discount Amount"),
        },
        (
            # an order has a row for each of its items, and its totals stand on the first
            (("Total",), "Total IS NOT NULL"),
            is_none_of("Financial Status", "voided,refunded,expired"),
            (("Cancelled at",), '"Cancelled at" IS NULL'),
        ),
    ),
    "woocommerce": Preset(
        "orders of WooCommerce, by its Import Export Suite",
        ("order_date", "order_total", "status|order_status", "billing_email|customer_email"),
        {
            "customer": column("customer_email", "billing_email"),
            "time": column("order_date"),
            "amount": less_refund("order_total", "refunded_total"),
            "currency": column("order_currency"),
            "event_id": column("order_id", "order_number"),
            "discount": column("discount_total"),
        },
        tuple(
            is_none_of(
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
                *column("Customer ID", "Customer Email"),
            ),
            "time": column("Created date (UTC)", "Created (UTC)"),
            "amount": less_refund("Amount", "Amount Refunded"),
            "currency": column("Currency"),
            "event_id": column("id"),
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
            "customer": column("Customer Email"),
            "time": column("Purchase Date"),
            "amount": less_refund("Grand Total (Base)", "Total Refunded"),
            "event_id": column("ID"),
        },
        (
            is_none_of(
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
            "customer": column("Customer Email"),
            "time": column("Order Date"),
            "amount": less_refund("Order Total (inc tax)", "Refund Amount"),
            "currency": column("Order Currency Code"),
            "event_id": column("Order ID"),
        },
        (
            is_none_of(
                "Order Status",
                "incomplete,pending,declined,cancelled,refunded,awaiting payment,disputed",
            ),
        ),
    ),
    "square": Preset(
        "export of transactions or items of Square",
        ("Date", "Time", "Net Sales", "Transaction ID", "Event Type", "Customer ID"),
        {
            "customer": column("Customer ID"),
            "time": ((("Date", "Time"), "Date || ' ' || Time"),),
            "amount": column("Net Sales"),
            "event": (
                (
                    ("Event Type",),
                    "CASE WHEN lower(\"Event Type\") = 'refund' THEN 'refund' ELSE 'purchase' END",
                ),
            ),
            "category": column("Category"),
            "discount": column("Discounts"),
        },
        thousands=",",
        currency_sign="$",
    ),
    "olist": Preset(
        "payments of the Brazilian shops of Olist (olist_order_payments_dataset.csv)",
        ("order_id", "payment_sequential", "payment_type", "payment_value"),
        {
            # customer_id is another one for each order
            "customer": column("customer_unique_id"),
            "time": column("order_purchase_timestamp"),
            "amount": column("payment_value"),
            "currency": (((), "'BRL'"),),
        },
        (is_none_of("order_status", "canceled,unavailable"),),
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
                *column("user_pseudo_id"),
            ),
            "time": column("event_timestamp"),
            "event": column("event_name"),
            "amount": column(
                "ecommerce.purchase_revenue",
                "ecommerce_purchase_revenue",
                "purchase_revenue",
            ),
            "channel": column("traffic_source.medium", "traffic_source_medium"),
        },
        time_format="unix-us",
    ),
    "hubspot": Preset(
        "deals export of HubSpot",
        ("Record ID", "Deal Stage", "Close Date", "Amount"),
        {
            "customer": column(
                "Associated Company IDs",
                "Associated Company",
                "Associated Contact IDs",
                "Associated Contact",
            ),
            "time": column("Close Date"),
            "amount": column("Amount"),
            "currency": column("Currency"),
            "event_id": column("Record ID"),
        },
        (is_won("Deal Stage"),),
    ),
    "salesforce": Preset(
        "opportunities of Salesforce, as a report or by Data Loader",
        ("Account Name|Account ID|AccountId", "Stage|StageName", "Close Date|CloseDate", "Amount"),
        {
            "customer": column("AccountId", "Account ID", "Account Name"),
            "time": column("CloseDate", "Close Date"),
            "amount": column("Amount"),
            "currency": column("CurrencyIsoCode", "Amount Currency"),
            "event_id": column("Id", "Opportunity ID"),
        },
        (is_won("StageName"), is_won("Stage")),
    ),
}
"""Name of a preset -> how its export is read."""


def fitting_presets(columns: Collection[str]) -> list[str]:
    """Return the names of the presets whose export has such columns.

    >>> columns = ["Record ID", "Deal Stage", "Close Date", "Amount", "Associated Company"]
    >>> fitting_presets(columns)
    ['hubspot']
    """
    return [name for name, preset in PRESETS.items() if fits(preset, columns)]


def nearly_fitting_presets(columns: Collection[str]) -> list[str]:
    """Return the names of the presets whose export has such columns but for capitals or a customer.

    >>> nearly_fitting_presets(["record id", "deal stage", "close date", "amount"])
    ['hubspot']
    """
    lower = [column.lower() for column in columns]
    return [
        name
        for name, preset in PRESETS.items()
        if not fits(preset, columns)
        and all(set(names.lower().split("|")) & set(lower) for names in preset.known_by)
    ]


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
    return applied(PRESETS[name], name, columns, source)
