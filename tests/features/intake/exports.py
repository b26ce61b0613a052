"""Small made-up exports of the vendors that presets are for: their columns and order states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Export:
    """A made-up export, and what a log of it must hold.

    Parameters
    ----------
    frame
        Its rows, all texts.
    spend
        Customer -> what was bought less what was refunded.
    events
        Number of events that are loaded.
    currency
        Of the amounts; None: the export does not say it.
    file
        Its name.
    beside
        Name -> rows of the files beside it.
    """

    frame: pd.DataFrame
    spend: dict[str, float]
    events: int
    currency: str | None
    file: str = "export.csv"
    beside: dict[str, pd.DataFrame] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Write the export, and the files beside it, into a folder; return its path."""
        for name, frame in {**self.beside, self.file: self.frame}.items():
            frame.to_csv(folder / name, index=False)
        return folder / self.file


def _texts(header: str, rows: list[str]) -> pd.DataFrame:
    columns = header.split("|")
    return pd.DataFrame([row.split("|") for row in rows], columns=columns, dtype=str)


def shopify() -> Export:
    """Return orders with a row for each item, totals on the first; refunded, voided, cancelled."""
    header = (
        "Name|Email|Financial Status|Paid at|Fulfillment Status|Currency|Subtotal|Shipping|Taxes|"
        "Total|Discount Code|Discount Amount|Created at|Lineitem quantity|Lineitem name|"
        "Lineitem price|Cancelled at|Refunded Amount|Id|Source"
    )
    day = "2025-01-1{0} 10:00:00 -0500"

    def order(
        n: int, email: str, status: str, total: str, back: str = "0.00", gone: str = ""
    ) -> str:
        at = day.format(n)
        return (
            f"#100{n}|{email}|{status}|{at}|fulfilled|USD|{total}|0.00|0.00|{total}||1.50|{at}|1|"
            f"Cup|9.00|{gone}|{back}|741{n}|web"
        )

    item = f"#1001|ada@x.com|||||||||||{day.format(1)}|2|Pot|3.00||||"
    rows = [
        order(1, "ada@x.com", "paid", "30.00"),
        item,
        order(2, "ada@x.com", "partially_refunded", "20.00", "5.00"),
        order(3, "bob@x.com", "refunded", "40.00", "40.00"),
        order(4, "bob@x.com", "voided", "50.00"),
        order(5, "bob@x.com", "paid", "60.00", gone=day.format(6)),
        order(7, "cy@x.com", "pending", "8.00"),
    ]
    return Export(_texts(header, rows), {"ada@x.com": 45.0, "cy@x.com": 8.0}, 3, "USD")


def woocommerce() -> Export:
    """Return orders by state, one of them on two rows and refunded in part."""
    header = (
        "order_id|order_number|order_date|status|order_total|order_currency|customer_id|"
        "customer_email|discount_total|refunded_total"
    )
    rows = [
        "11|11|2025-01-05 09:30:00|completed|19.90|EUR|3|ada@x.com|2.00|4.90",
        "11|11|2025-01-05 09:30:00|completed|19.90|EUR|3|ada@x.com|0.00|4.90",
        "12|12|2025-01-06 09:30:00|wc-processing|10.00|EUR|3|ada@x.com|0|",
        "13|13|2025-01-07 09:30:00|cancelled|99.00|EUR|4|bob@x.com|0|0",
        "14|14|2025-01-08 09:30:00|wc-refunded|99.00|EUR|4|bob@x.com|0|0",
        "15|15|2025-01-09 09:30:00|on-hold|7.00|EUR|4|bob@x.com|0|0",
    ]
    return Export(_texts(header, rows), {"ada@x.com": 25.0, "bob@x.com": 7.0}, 3, "EUR")


def stripe() -> Export:
    """Return payments, some failed or refunded, one of a guest, one above a thousand."""
    header = (
        "id|Created date (UTC)|Amount|Amount Refunded|Currency|Captured|Fee|Status|Description|"
        "Customer ID|Customer Email"
    )
    rows = [
        "ch_1|2025-03-14 16:20:00|1,250.50|0.00|usd|true|3.00|Paid|Plan|cus_1|ada@x.com",
        "ch_2|2025-04-14 16:20|49.00|9.00|usd|true|1.00|Paid|Plan|cus_1|ada@x.com",
        "ch_3|2025-05-14 16:20:00|49.00|49.00|usd|true|1.00|Refunded|Plan|cus_2|bob@x.com",
        "ch_4|2025-05-15 16:20:00|49.00|49.00|usd|true|1.00|Paid|Plan|cus_2|bob@x.com",
        "ch_5|2025-06-14 16:20:00|49.00|0.00|usd|false|0.00|Failed|Plan|cus_2|bob@x.com",
        "ch_6|2025-06-15 16:20:00|12.00|0.00|usd|true|0.00|Paid|Cup||guest@x.com",
    ]
    return Export(_texts(header, rows), {"cus_1": 1290.5, "guest@x.com": 12.0}, 3, "USD")


def magento() -> Export:
    """Return orders of the grid by state, one refunded in part."""
    header = (
        "ID|Purchase Point|Purchase Date|Bill-to Name|Grand Total (Base)|Grand Total (Purchased)|"
        "Status|Customer Email|Customer Group|Total Refunded"
    )
    rows = [
        "000000001|Main|2025-01-05 10:12:30|Ada|29.0000|29.0000|complete|ada@x.com|1|",
        "000000002|Main|2025-02-05 10:12:30|Ada|30.0000|30.0000|Complete|ada@x.com|1|10.0000",
        "000000003|Main|2025-02-06 10:12:30|Bob|30.0000|30.0000|Canceled|bob@x.com|1|",
        "000000004|Main|2025-02-07 10:12:30|Bob|30.0000|30.0000|closed|bob@x.com|1|30.0000",
        "000000005|Main|2025-02-08 10:12:30|Bob|11.0000|11.0000|processing|bob@x.com|1|",
    ]
    return Export(_texts(header, rows), {"ada@x.com": 49.0, "bob@x.com": 11.0}, 3, None)


def bigcommerce() -> Export:
    """Return orders of the default template by state."""
    header = (
        "Order ID|Customer ID|Customer Name|Customer Email|Order Date|Order Status|"
        "Subtotal (inc tax)|Order Total (inc tax)|Order Total (ex tax)|Refund Amount|"
        "Order Currency Code"
    )
    rows = [
        "101|7|Ada|ada@x.com|2025-01-05|Completed|20.00|25.00|22.00|0.00|GBP",
        "102|7|Ada|ada@x.com|2025-02-05|Partially Refunded|20.00|25.00|22.00|5.00|GBP",
        "103|8|Bob|bob@x.com|2025-02-06|Cancelled|20.00|25.00|22.00|0.00|GBP",
        "104|8|Bob|bob@x.com|2025-02-07|Refunded|20.00|25.00|22.00|25.00|GBP",
        "105|8|Bob|bob@x.com|2025-02-08|Shipped|20.00|5.00|4.00|0.00|GBP",
    ]
    return Export(_texts(header, rows), {"ada@x.com": 45.0, "bob@x.com": 5.0}, 3, "GBP")


def square() -> Export:
    """Return transactions with signs of the currency, one refunded, one of nobody."""
    header = (
        "Date|Time|Time Zone|Gross Sales|Discounts|Net Sales|Tax|Tip|Total Collected|"
        "Transaction ID|Payment ID|Event Type|Customer ID|Customer Name"
    )
    zone = "Eastern Time (US & Canada)"
    rows = [
        f"2025-01-05|10:15:00|{zone}|$1,300.00|-$49.50|$1,250.50|$0.00|$2.00|$1,252.50|T1|P1|"
        "Payment|C1|Ada",
        f"2025-01-06|10:15:00|{zone}|$20.00|$0.00|$20.00|$0.00|$0.00|$20.00|T2|P2|Payment|C2|Bob",
        f"2025-01-07|10:15:00|{zone}|-$20.00|$0.00|-$20.00|$0.00|$0.00|-$20.00|T3|P3|Refund|C2|Bob",
    ]
    return Export(_texts(header, rows), {"C1": 1250.5, "C2": 40.0}, 3, None)


def olist() -> Export:
    """Return payments of orders, one order in two of them; customers have an id for each order."""
    payments = [
        "o1|1|voucher|1|10.00",
        "o1|2|credit_card|3|25.50",
        "o2|1|boleto|1|30.00",
        "o3|1|credit_card|1|99.00",
    ]
    orders = [
        "o1|c1|delivered|2017-10-02 10:56:33|2017-10-02 11:07:15",
        "o2|c2|shipped|2017-11-02 10:56:33|2017-11-02 11:07:15",
        "o3|c3|canceled|2017-12-02 10:56:33|",
    ]
    beside = {
        "olist_orders_dataset.csv": _texts(
            "order_id|customer_id|order_status|order_purchase_timestamp|order_approved_at", orders
        ),
        "olist_customers_dataset.csv": _texts(
            "customer_id|customer_unique_id|customer_city", ["c1|u1|x", "c2|u1|x", "c3|u2|y"]
        ),
    }
    header = "order_id|payment_sequential|payment_type|payment_installments|payment_value"
    file = "olist_order_payments_dataset.csv"
    return Export(_texts(header, payments), {"u1": 65.5}, 3, "BRL", file, beside)


def ga4() -> Export:
    """Return visits and purchases, one of a user who is known."""
    header = "event_date|event_timestamp|event_name|user_id|user_pseudo_id|purchase_revenue"
    rows = [
        "20250105|1736071200000000|session_start||11.22|",
        "20250105|1736071260000000|purchase||11.22|30.5",
        "20250106|1736157600000000|purchase|u-7|33.44|12",
        "20250107|1736244000000000|page_view|u-7|55.66|",
    ]
    return Export(_texts(header, rows), {"11.22": 30.5, "u-7": 12.0}, 4, None)


def hubspot() -> Export:
    """Return deals by stage."""
    header = "Record ID|Deal Name|Deal Stage|Close Date|Amount|Currency|Associated Company"
    rows = [
        "7001|New|Closed Won|2025-03-01 09:30|15000|EUR|Acme",
        "7002|More|closedwon|2025-06-01 09:30|2500|EUR|Acme",
        "7003|Open|Proposal|2025-07-01 09:30|9000|EUR|Acme",
        "7004|Lost|Closed Lost|2025-07-01 09:30|9000|EUR|Bolt",
        "7005|Lost|Not won|2025-07-02 09:30|9000|EUR|Bolt",
    ]
    return Export(_texts(header, rows), {"Acme": 17500.0}, 2, "EUR")


def salesforce() -> Export:
    """Return opportunities as Data Loader writes them."""
    header = "Id|AccountId|Name|StageName|CloseDate|Amount|CurrencyIsoCode"
    rows = [
        "006A|001A|New|Closed Won|2025-03-01|15000.0|USD",
        "006B|001A|More|Negotiation|2025-06-01|2500.0|USD",
        "006C|001B|Other|Closed Won|2025-06-02|100.0|USD",
        "006D|001B|Lost|Closed Lost|2025-06-03|100.0|USD",
    ]
    return Export(_texts(header, rows), {"001A": 15000.0, "001B": 100.0}, 2, "USD")


EXPORTS: dict[str, Callable[[], Export]] = {
    "shopify": shopify,
    "woocommerce": woocommerce,
    "stripe": stripe,
    "magento": magento,
    "bigcommerce": bigcommerce,
    "square": square,
    "olist": olist,
    "ga4": ga4,
    "hubspot": hubspot,
    "salesforce": salesforce,
}
"""Name of a preset -> a made-up export of its vendor."""
