"""What each argument of the public API takes: kinds of values, and which argument is of which kind.

a kind -> values that are right and mean the same, values that are wrong
a function -> how it is called, and the kind of each argument
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

import stagecast as sc

TABLE_OF_NOTHING = pd.DataFrame({"nothing": [1, 2]})
NAN = float("nan")

Forms = Callable[[Any], list[Any]]


def times(day: date) -> list[Any]:
    """Return a day in all forms of a time."""
    text = day.isoformat()
    stamp = pd.Timestamp(text)
    return [
        text,
        day,
        stamp.to_pydatetime(),
        stamp.to_pydatetime().replace(tzinfo=UTC),
        stamp,
        stamp.tz_localize("UTC"),
        np.datetime64(text),
        pd.Period(text, "D"),
    ]


def spans(days: int) -> list[Any]:
    """Return a number of days in all forms of a span."""
    span = timedelta(days=days)
    return [f"{days}d", span, pd.Timedelta(span), np.timedelta64(days, "D")]


def shares(share: float) -> list[Any]:
    """Return a share in all its forms."""
    return [share, np.float64(share), f"{share * 100:g}%", f"{share * 100:g} %"]


def numbers(number: float) -> list[Any]:
    """Return a number in the forms of Python and NumPy."""
    return [number, np.float64(number)]


def whole_numbers(number: int) -> list[Any]:
    """Return a whole number in the forms of Python and NumPy."""
    return [number, np.int64(number), float(number)]


def paths(path: Path) -> list[Any]:
    """Return a path as an object and as a text."""
    return [path, str(path)]


def tables(frame: pd.DataFrame) -> list[Any]:
    """Return a table of pandas, polars and Arrow."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return [frame, pl.from_arrow(table), table]


def ids(number: str) -> list[Any]:
    """Return the id of a customer whose id is a number, as pandas and NumPy hold it."""
    whole = int(number)
    return [number, whole, float(whole), np.int64(whole), np.float64(whole), pa.scalar(number)]


def flags(flag: bool) -> list[Any]:
    """Return True or False of Python and of NumPy."""
    return [flag, np.bool_(flag)]


def texts(name: str) -> list[Any]:
    """Return one text, alone and as a collection."""
    return [name, [name], (name,), np.array([name]), pd.Series([name])]


def only(value: Any) -> list[Any]:
    """Return the one form of a value."""
    return [value]


@dataclass(frozen=True)
class Kind:
    """A kind of argument: the forms of a right value, and values that are wrong."""

    forms: Forms
    wrong: tuple[Any, ...]


TIME = Kind(times, (20210501, "soon", pd.NaT, ["2021-05-01"], TABLE_OF_NOTHING))
TIMES = Kind(times, (20210501, "soon", pd.NaT, [20210501], ["soon"]))
SPAN = Kind(spans, (90, "90", "3 months", 2.5, NAN, [1], timedelta(hours=3)))
LENGTH = Kind(spans, ("90", "3 months", NAN, "x"))
DAYS = Kind(lambda days: [*spans(days), *whole_numbers(days)], ("90", "x", 2.5, [1], -1))
SHARE = Kind(shares, ("ten", [0.1], NAN, -0.5, True, "300 percent"))
MONEY = Kind(numbers, ("100", [1], NAN, True, "x"))
WHOLE = Kind(whole_numbers, ("3", 2.5, [3], True, ["2021-01-01"], -7))
PATH = Kind(paths, (3, ["a"], TABLE_OF_NOTHING))
LOG = Kind(only, (TABLE_OF_NOTHING, 3, None, "orders.csv"))
TABLE = Kind(tables, (3, "x", None))
TABLE_OR_LOG = Kind(tables, (3, "x", [1]))
ID = Kind(ids, (2.5, NAN, True, ["a"], b"a", "nobody"))
FLAG = Kind(flags, ("yes", 3))
TEXTS = Kind(texts, (3, [3], {"a": 1}))
TEXT = Kind(only, (3, ["a"]))
CHOICE = Kind(only, ("nonesuch", 3))
SCHEME = Kind(only, (3, "nonesuch", ["retail"]))
MAPPING = Kind(only, (3, "a=b", ["a"]))
MODEL = Kind(only, (3, "x", TABLE_OF_NOTHING))
MODEL_OR_PATH = Kind(only, (3, ["x"], TABLE_OF_NOTHING))
LIST = Kind(only, (3, ["x"]))
OBJECT = Kind(only, (3, "x"))


@dataclass
class World:
    """What the calls are made on: a log and a model, both of them small.

    Parameters
    ----------
    log
        The log that the model was trained on; ids are like ``c00017``.
    model
        A fitted model.
    bundle
        Its folder.
    folder
        An empty folder.
    """

    log: sc.EventLog
    model: sc.Lifecycle
    bundle: Path
    folder: Path
    rows: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(
            {
                "customer_id": [17, 17, 21, 21, 35],
                "timestamp": pd.to_datetime(
                    ["2021-01-01", "2021-02-10", "2021-01-05", "2021-03-01", "2021-03-20"]
                ),
                "amount": [10.0, 20.0, 5.0, 7.5, 3.0],
            }
        )
    )

    @cached_property
    def tiny(self) -> sc.EventLog:
        """A log of three customers, whose ids are numbers."""
        return sc.read_events(self.rows)

    @cached_property
    def small_model(self) -> sc.Lifecycle:
        """A model of it, which has rules alone."""
        return sc.Lifecycle(horizon="7d").fit(self.tiny)

    @cached_property
    def scores(self) -> pd.DataFrame:
        return self.model.scores

    @cached_property
    def table(self) -> pd.DataFrame:
        """Customers with frequency, recency and T."""
        return sc.purchase_summary(self.log, amount="amount").reset_index()

    @cached_property
    def purchases(self) -> pd.DataFrame:
        return self.rows

    @cached_property
    def bought(self) -> sc.BetaGeo:
        return sc.BetaGeo().fit(self.table)

    @cached_property
    def plan(self) -> sc.Plan:
        return sc.plan(self.scores, contacts=60, holdout=0.3)

    @cached_property
    def counted(self) -> pd.DataFrame:
        names = [*self.plan.contacts.index, *self.plan.holdout.index]
        return pd.DataFrame({"customer_id": names, "orders": 1, "spend": 2.0})

    @cached_property
    def flows(self) -> Any:
        return self.log.flows()


@dataclass(frozen=True)
class Called:
    """How a function is called.

    Parameters
    ----------
    call
        From the world and the keywords that are tried.
    kinds
        Argument -> its kind.
    right
        Argument -> a right value, which stands in other forms for the same; from the world.
    """

    call: Callable[..., Any]
    kinds: Mapping[str, Kind]
    right: Callable[[World], Mapping[str, Any]] = lambda _: {}


def public() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield all functions and methods of the public API by name, with their arguments."""
    for name in sc.__all__:
        thing = getattr(sc, name)
        members = [("", thing)]
        if inspect.ismodule(thing):
            members = [(f".{k}", getattr(thing, k)) for k in thing.__all__]
        elif inspect.isclass(thing):
            members += [
                (f".{k}", v)
                for k, v in inspect.getmembers(thing, callable)
                if not k.startswith(("_", "get_metadata", "set_fit", "set_score", "set_predict"))
            ]
        elif not callable(thing):
            continue
        for suffix, function in members:
            known = inspect.signature(function).parameters
            yield f"{name}{suffix}", tuple(n for n in known if n not in ("self", "cls"))


LEFT_OUT = {
    "results, which no user makes": r"(Backtest|EventLog|Panel|Plan|Run|Scorer)\(",
    "between the parts of the package": r"\w+\.(of_\w+|from_json|choose_as_of)\(|Scorer\.",
    "scikit-learn says what it takes": r"(Churn|NextStage|Value|CustomerValue|RfmLogistic)\w*[.(]",
    "scikit-learn's own methods": r"\w+\.(get_params|set_params|score)\((deep|params|parameters)",
    "MLflow answers; see test_registry": r"Registry\.|load\(tracking_uri",
    "as BetaGeo, of which they have the methods": r"(ModifiedBetaGeo|ParetoNBD)\.(?!fit)",
    "as BetaGeo, of which it has the files": r"GammaGamma\.(save|load)\(",
    "see test_models": r"GammaGamma\.\w+\(|ModifiedBetaGeo\(regularity|\w+\.fit\((y|sample_weight)",
    "see test_python_feature": r"(Feature|feature)\(",
    "functions, sentences, and what is ignored": r"\w+\((say|track|next_steps|y)\)",
    "classes that a list names; see test_members": r"load\(allow_own_members",
    "see test_charts": r"plot\.\w+\((order|share|y_true|data)\)",
    "see test_splits": r"SnapshotSplit(\.get_n_splits|\.split)?\((X|y|random_state|groups)",
}
"""Why an argument stands in no table -> which arguments those are."""


def is_left_out(name: str, argument: str) -> bool:
    """Return whether an argument is not tried here, for a reason of :data:`LEFT_OUT`."""
    return any(re.match(pattern, f"{name}({argument})") for pattern in LEFT_OUT.values())


def value_in(message: str, value: Any) -> bool:
    """Return whether a message shows a value."""
    if isinstance(value, pd.DataFrame):
        return "DataFrame" in message
    shown = {repr(value), str(value)}
    if isinstance(value, list | tuple | dict):  # or the one of them that is at fault
        shown |= {repr(item) for item in value} | {str(item) for item in value}
    if isinstance(value, timedelta):
        shown.add(repr(value))
    return any(form in message for form in shown)
