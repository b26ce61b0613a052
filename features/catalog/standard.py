"""Standard catalogue: the features that every log has.

See :mod:`stagecast.features.catalog.feature` for how a feature is defined. An event type that a log
does not contain is counted as 0 events, so every log has every column.
"""

from __future__ import annotations

from functools import lru_cache

from stagecast.features.catalog.catalog import Catalog
from stagecast.features.catalog.feature import Feature, Function, Relation

WINDOWS_DAYS = (7, 30, 90, 180, 365)

# With this many gaps a customer's own mean gap weighs as much as the shop's usual gap.
RHYTHM_PRIOR_GAPS = 3

FADER_HARDIE_LEE = 'Fader, Hardie and Lee (2005), "Counting your customers the easy way"'
WHEAT_MORRISON = (
    'Wheat and Morrison (1990), "Estimating purchase regularity with two interpurchase times"'
)
ZHANG_BRADLOW_SMALL = (
    'Zhang, Bradlow and Small (2015), "Predicting customer value using clumpiness"'
)
MOVING_RANGE = "Hoel (1946), on the efficiency of the mean moving range"

# Mean absolute difference of two draws from a normal distribution, divided by its standard
# deviation: 2 / sqrt(pi).
DIFFERENCE_OF_TWO = 1.1283791670955126


def _aggregate(
    name: str,
    unit: str,
    meaning: str,
    qualified_column: str,
    function: Function,
    window: tuple[int, int] | None = None,
    *,
    events: tuple[str, ...] = (),
    predictor: bool = True,
) -> Feature:
    relation, column = qualified_column.split(".")
    return Feature(
        name, unit, meaning, _relation(relation), function, column, window, None, predictor, events
    )


def _relation(text: str) -> Relation:
    relations: dict[str, Relation] = {
        "days": "days",
        "log": "log",
        "types": "types",
        "values": "values",
    }
    return relations[text]


def _formula(
    name: str, unit: str, meaning: str, formula: str, *, predictor: bool = True, source: str = ""
) -> Feature:
    return Feature(
        name, unit, meaning, formula=" ".join(formula.split()), predictor=predictor, source=source
    )


@lru_cache(maxsize=64)
def standard(horizon_days: int) -> Catalog:
    """Return the standard catalogue for a horizon in days.

    Set its parameter ``shop_gap_days``, the shop's usual gap between two purchase days of a
    customer, with :meth:`Catalog.with_parameters` before computing features.

    Parameters
    ----------
    horizon_days
        Length of the horizon, on which ``orders_ahead_last_year`` depends.

    >>> "recency_days" in standard(90).predictors
    True
    """
    features = [
        *_aggregates(),
        *_season_ahead(horizon_days),
        *_windows(),
        *_rfm(),
        *_rhythm(),
        *_trends(),
        *_money(),
        *_breadth(),
        *_engagement(),
        *_calendar(),
    ]
    return Catalog(tuple(features), {})


# A table with one feature a line, as wide as its longest line.
# fmt: off
def _aggregates() -> list[Feature]:
    return [
        _aggregate("orders", "days", "purchase days", "days.day", "count"),
        _aggregate("first_day", "day number", "first purchase day", "days.day", "min", predictor=False),
        _aggregate("last_day", "day number", "last purchase day", "days.day", "max", predictor=False),
        _aggregate("first_event_day", "day number", "first event of any type", "log.day", "min", predictor=False),
        _aggregate(
            "last_active_day", "day number", "last visit or other event", "log.active_day", "max", predictor=False
        ),
        _aggregate("purchase_events", "events", "purchase events (lines)", "log.purchases", "sum", predictor=False),
        _aggregate("spend", "money", "spend net of refunds", "days.spend", "sum"),
        _aggregate("refund_spend", "money", "money given back", "log.refund", "sum", predictor=False),
        _aggregate("spend_first", "money", "spend on the first purchase day", "days.spend", "first"),
        _aggregate("spend_last", "money", "spend on the last purchase day", "days.spend", "last"),
        _aggregate("spend_max", "money", "largest spend on one day", "days.spend", "max"),
        _aggregate("gap_last", "days", "the last gap between two purchase days", "days.gap", "last"),
        _aggregate("gap_longest", "days", "the longest gap", "days.gap", "max"),
        _aggregate("gap_squares", "days^2", "sum of squared gaps", "days.gap", "sum_of_squares", predictor=False),
        _aggregate("activity", "events", "visits and other events so far", "log.activity", "sum"),
        _aggregate("orders_prev_90d", "days", "purchase days 91 to 180 days ago", "days.day", "count", (90, 180)),
        _aggregate("spend_prev_90d", "money", "spend 91 to 180 days ago", "days.spend", "sum", (90, 180)),
    ]


def _season_ahead(horizon_days: int) -> list[Feature]:
    if horizon_days >= 365:
        return []
    meaning = "purchase days a year ago, in the days that now lie ahead"
    window = (365 - horizon_days, 365)
    return [_aggregate("orders_ahead_last_year", "days", meaning, "days.day", "count", window, predictor=False)]


def _windows() -> list[Feature]:
    features = []
    for days in WINDOWS_DAYS:
        window, ago = (0, days), f"in the last {days} days"
        in_window = [
            _aggregate(f"orders_{days}d", "days", f"purchase days {ago}", "days.day", "count", window),
            _aggregate(f"spend_{days}d", "money", f"spend {ago}", "days.spend", "sum", window),
            _aggregate(f"activity_{days}d", "events", f"visits and other events {ago}", "log.activity", "sum", window),
        ]
        features += in_window if days >= 30 else [_no_predictor(feature) for feature in in_window]
    return features


def _rfm() -> list[Feature]:
    btyd = FADER_HARDIE_LEE
    return [
        _formula("frequency", "days", "repeat purchase days", "greatest(orders - 1, 0)", source=btyd),
        _formula("T_days", "days", "first purchase day to the as_of", "as_of_day - first_day", source=btyd),
        _formula("t_x_days", "days", "first to last purchase day", "last_day - first_day", source=btyd),
        _formula("recency_days", "days", "last purchase day to the as_of", "as_of_day - last_day"),
        _formula("tenure_days", "days", "first event to the as_of", "as_of_day - first_event_day", predictor=False),
        _formula("silence_days", "days", "last visit or other event to the as_of", "as_of_day - last_active_day"),
        _aggregate("purchase_spend", "money", "spend before refunds", "log.gross_spend", "sum"),
        _formula("spend_mean", "money", "spend per purchase day", "spend / nullif(orders, 0)"),
        _formula(
            "monetary",
            "money",
            "mean spend per repeat purchase day",
            "(spend - spend_first) / nullif(frequency, 0)",
            source=btyd,
        ),
        _formula(
            "refund_share", "ratio", "refunds over spend before refunds", "refund_spend / nullif(purchase_spend, 0)"
        ),
        _formula("order_rate", "1/days", "repeat purchase days per day", "frequency / T_days"),
    ]


def _rhythm() -> list[Feature]:
    prior = RHYTHM_PRIOR_GAPS
    entropy, unevenness = "days.gap_entropy", "days.gap_unevenness"
    return [
        _formula("gap_mean", "days", "mean gap between purchase days", "t_x_days / nullif(frequency, 0)"),
        _formula(
            "gap_spread",
            "days",
            "standard deviation of the gaps",
            # computed in whole days up to the division, so that no precision is lost if the gaps
            # are nearly equal
            ("sqrt(greatest(frequency * gap_squares - t_x_days * t_x_days, 0) / " "(frequency * (frequency - 1)))"),
        ),
        _formula(
            "gap_variation", "ratio", "spread of the gaps over their mean", "gap_spread / gap_mean", predictor=False
        ),
        _formula(
            "rhythm_days",
            "days",
            f"the customer's usual gap, shrunk to the shop's as if by {prior} more gaps",
            f"({prior} * shop_gap_days + t_x_days) / ({prior} + frequency)",
        ),
        _formula("overdue_ratio", "ratio", "silence over the usual gap", "recency_days / rhythm_days"),
        _formula("overdue_longest", "ratio", "silence over the longest gap", "recency_days / gap_longest"),
        _formula(
            "overdue_spread",
            "ratio",
            "silence beyond the mean gap, in spreads",
            "(recency_days - gap_mean) / (gap_spread + 1)",
        ),
        _formula(
            "return_ratio",
            "ratio",
            "the last gap over what had been usual before it",
            (f"gap_last * ({prior} + frequency - 1) / ({prior} * shop_gap_days + t_x_days " "- gap_last)"),
        ),
        _aggregate("gap_logs", "log days", "sum of ln gap", "days.gap_log", "sum", predictor=False),
        _aggregate("gap_entropy", "days", "sum of gap x ln gap", entropy, "sum", predictor=False),
        _formula(
            "clumpiness",
            "ratio",
            ("how far purchases since the first come in clumps: 0 evenly spread, 1 all at " "once; the silence is a gap"),
            """1 + ((gap_entropy + recency_days * ln(recency_days)) / T_days - ln(T_days))
            / ln(frequency + 1)""",
            predictor=False,
            source=ZHANG_BRADLOW_SMALL,
        ),
        _aggregate(
            "gap_unevenness",
            "ratio",
            "sum over neighbouring gaps of (gap / both - 1/2)^2",
            unevenness,
            "sum",
            predictor=False,
        ),
        _formula(
            "regularity",
            "ratio",
            f"shape of the gaps, from how unlike neighbours are and as if by {prior} more " "pairs of one who buys at "
            "random: 1 at random, above more regular, below in clumps",
            f"""(1 - 4 * (gap_unevenness + {prior} / 12) / ({prior} + greatest(frequency - 1, 0)))
            / (8 * (gap_unevenness + {prior} / 12) / ({prior} + greatest(frequency - 1, 0)))""",
            predictor=False,
            source=WHEAT_MORRISON,
        ),
    ]


def _trends() -> list[Feature]:
    year_ago = (365, 455)
    season_a_year_ago = "in the 90 days a year before the last 90"
    return [
        _formula(
            "trend_orders_90d",
            "ratio",
            "purchase days of the last 90 days over the 90 before, each plus one",
            "(orders_90d + 1) / (orders_prev_90d + 1)",
        ),
        _formula(
            "trend_spend_90d",
            "ratio",
            "spend of the last 90 days over the mean of the last 180, 1 if there was none",
            "coalesce(2 * spend_90d / nullif(spend_90d + spend_prev_90d, 0), 1)",
        ),
        _aggregate(
            "orders_prev_30d",
            "days",
            "purchase days 31 to 60 days ago",
            "days.day",
            "count",
            (30, 60),
            predictor=False,
        ),
        _formula(
            "trend_orders_30d",
            "ratio",
            "purchase days of the last 30 days over the 30 before, each plus one",
            "(orders_30d + 1) / (orders_prev_30d + 1)",
            predictor=False,
        ),
        _aggregate(
            "orders_last_year_90d",
            "days",
            f"purchase days {season_a_year_ago}",
            "days.day",
            "count",
            year_ago,
            predictor=False,
        ),
        _aggregate(
            "spend_last_year_90d", "money", f"spend {season_a_year_ago}", "days.spend", "sum", year_ago, predictor=False
        ),
        _formula(
            "trend_orders_year",
            "ratio",
            ("purchase days of the last 90 days over those of the same season a year ago, " "each plus one"),
            "(orders_90d + 1) / (orders_last_year_90d + 1)",
            predictor=False,
        ),
        _formula(
            "trend_spend_year",
            "ratio",
            ("spend of the last 90 days over the mean of it and the same season's a year " "ago, 1 if there was none"),
            "coalesce(2 * spend_90d / nullif(spend_90d + spend_last_year_90d, 0), 1)",
            predictor=False,
        ),
    ]


def _money() -> list[Feature]:
    return [
        _aggregate(
            "spend_change",
            "money",
            "sum of how far each purchase day's spend is from that of the day before it",
            "days.spend_change",
            "sum",
            predictor=False,
        ),
        _formula(
            "spend_spread",
            "money",
            ("standard deviation of the spend per purchase day, from how far neighbouring " "days differ"),
            f"spend_change / nullif(frequency, 0) / {DIFFERENCE_OF_TWO}",
            predictor=False,
            source=MOVING_RANGE,
        ),
        _formula(
            "spend_variation",
            "ratio",
            "spread of the spend over its mean",
            "spend_spread / nullif(spend_mean, 0)",
            predictor=False,
        ),
        _formula(
            "spend_share_90d",
            "ratio",
            "share of all spend that fell into the last 90 days",
            "spend_90d / nullif(spend, 0)",
            predictor=False,
        ),
        _aggregate("refunds", "events", "refund events", "log.refunds", "sum", predictor=False),
        _aggregate("discount", "money", "taken off the price of purchases", "log.discount", "sum", predictor=False),
        _formula(
            "discount_share",
            "ratio",
            "discount over the full price of what was bought",
            "discount / nullif(discount + purchase_spend, 0)",
            predictor=False,
        ),
    ]


def _breadth() -> list[Feature]:
    features = [
        _aggregate("weekdays", "values", "different weekdays with a purchase", "days.weekday", "distinct"),
        _aggregate("hours", "values", "different hours of the day with a purchase", "log.hour", "distinct"),
        _aggregate("weekend_orders", "days", "purchase days on Saturdays and Sundays", "days.weekend", "sum"),
        _formula(
            "weekend_share", "ratio", "share of purchase days on Saturdays and Sundays", "weekend_orders / orders"
        ),
    ]
    for column, plural in (("channel", "channels"), ("category", "categories")):
        values = f"values.{column}"
        features += [
            _aggregate(plural, "values", f"different {plural} so far", values, "distinct"),
            _aggregate(
                f"{plural}_365d", "values", f"different {plural} in the last 365 days", values, "distinct", (0, 365)
            ),
        ]
    return [_no_predictor(feature) for feature in features]


def _engagement() -> list[Feature]:
    features = [
        _aggregate(
            "activity_prev_30d", "events", "visits and other events 31 to 60 days ago", "log.activity", "sum", (30, 60)
        ),
        _formula(
            "trend_activity_30d",
            "ratio",
            "visits and other events of the last 30 days over the 30 before, each plus one",
            "(activity_30d + 1) / (activity_prev_30d + 1)",
        ),
    ]
    for plural, singular, types, windows in (
        ("visits", "visit", ("visit",), WINDOWS_DAYS),
        ("email_opens", "email_open", ("email_open",), (30, 90, 365)),
        ("tickets", "ticket", ("ticket",), (30, 90, 365)),
        ("contacts", "contact", ("contact",), (7, 30, 90)),
    ):
        phrase = plural.replace("_", " ")
        features += [
            _aggregate(
                f"{plural}_{days}d",
                "events",
                f"{phrase} in the last {days} days",
                "types.events",
                "sum",
                (0, days),
                events=types,
            )
            for days in windows
        ]
        features += [
            _aggregate(
                f"last_{singular}_day",
                "day number",
                f"day of the last of the {phrase}",
                "types.day",
                "max",
                events=types,
            ),
            _formula(
                f"days_since_{singular}",
                "days",
                f"last of the {phrase} to the as_of",
                f"as_of_day - last_{singular}_day",
            ),
        ]
    features.append(
        _aggregate("unsubscribes", "events", "unsubscriptions so far", "types.events", "sum", events=("unsubscribe",))
    )
    return [_no_predictor(feature) for feature in features]


def _calendar() -> list[Feature]:
    return [
        _formula("as_of_on_weekday", "number", "weekday of the as_of, 1 Monday", "as_of_weekday", predictor=False),
        _formula("as_of_in_month", "number", "month of the as_of", "as_of_month", predictor=False),
        _formula("as_of_in_year", "number", "day of the year of the as_of, from 1", "as_of_year_day", predictor=False),
    ]
# fmt: on


def _no_predictor(feature: Feature) -> Feature:
    return Feature(**{**vars(feature), "predictor": False})
