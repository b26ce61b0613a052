"""Scores as a DataFrame, read for a plan: customers, as_of, horizon, and the scheme they are of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stagecast.features.arguments.values import shown
from stagecast.features.clock import parse_instant
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.frames.given import as_frame
from stagecast.features.shop.customer_ids import customer_id_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stagecast.features.stages.scheme import Scheme
    from stagecast.serving.targeting.plan.candidates import Candidates


@dataclass(frozen=True)
class ScoredCustomers:
    """Customers of one score, whom a plan may choose from.

    Parameters
    ----------
    customers
        Their scores, ordered by id.
    as_of
        Where they stand, UTC.
    horizon_days
        Horizon of the scores.
    churn
        What churn is: ``inactivity`` or ``cancellation``.
    """

    customers: Candidates
    as_of: datetime
    horizon_days: int
    churn: str


def scores_frame(scores: object) -> pd.DataFrame:
    """Return scores as a DataFrame; raise UsageError for what is no table."""
    return as_frame(scores, "scores", "a table of scores, such as model.scores")


def candidates_of(scores: pd.DataFrame) -> ScoredCustomers:
    """Return the customers of scores, ordered by id.

    Raises
    ------
    UsageError
        It has no scores, or those of several runs.
    """
    from stagecast.serving.scoring.win_back import LAPSED, win_back
    from stagecast.serving.targeting.plan.candidates import COLUMNS, candidates

    table = scores.reset_index() if scores.index.name == "customer_id" else scores
    own = [name for name in COLUMNS if name != "win_back"]  # which is of the store
    needed = (*own, "p_return", "as_of", "horizon_days", "churn")
    missing = [name for name in needed if name not in table]
    if missing:
        raise UsageError(
            f"the scores have no column {missing[0]!r}.{did_you_mean(missing[0], table.columns)} "
            "Give what Lifecycle.score returns, with all of its columns"
        )
    if not len(table):
        raise UsageError("the scores have no customer; score a log with customers first")
    for name in ("as_of", "horizon_days", "churn"):
        if table[name].nunique() != 1:
            raise UsageError(
                f"the scores have {table[name].nunique()} different values of {name}; give those "
                "of one score"
            )
    ids = [customer_id_text(value, "customer_id of the scores") for value in table["customer_id"]]
    table = table.assign(customer_id=pd.Series(ids, table.index, dtype="object"))
    if table["customer_id"].duplicated().any():
        twice = table["customer_id"][table["customer_id"].duplicated()].iloc[0]
        raise UsageError(f"customer {twice!r} stands twice in the scores; give each one once")
    columns = {name: _values(table[name], name, ids) for name in own}
    gone, p_return = (_values(table[n], n, ids) for n in ("value_gone", "p_return"))
    columns["win_back"] = win_back(table["state"] == LAPSED, gone, p_return)
    as_of = pd.Timestamp(table["as_of"].iloc[0])
    as_of = as_of.tz_localize("UTC") if as_of.tzinfo is None else as_of.tz_convert("UTC")
    first = table.iloc[0]
    return ScoredCustomers(
        candidates(columns),
        parse_instant(as_of.isoformat()),
        int(first["horizon_days"]),
        str(first["churn"]),
    )


def _values(column: pd.Series, name: str, ids: Sequence[str]) -> NDArray[Any]:
    from stagecast.serving.targeting.plan.candidates import NUMBERS

    if name == "customer_id":
        return column.to_numpy(dtype=object)
    if name in (*NUMBERS, "p_return"):
        return _numbers(column, name, ids)
    values: NDArray[Any] = column.astype(object).where(column.notna(), None).to_numpy(dtype=object)
    return values


def _numbers(column: pd.Series, name: str, ids: Sequence[str]) -> NDArray[Any]:
    """Return a column of numbers, NaN for null.

    Raises
    ------
    UsageError
        A value is no finite number, or no probability in a column of these.
    """
    numbers: NDArray[Any] = pd.to_numeric(column, errors="coerce").to_numpy(
        dtype="float64", na_value=np.nan
    )
    known = column.notna().to_numpy()
    outside = known & ~np.isfinite(numbers)
    what = "which is no finite number"
    if name.startswith("p_") and not outside.any():
        outside = known & ~((numbers >= 0) & (numbers <= 1))
        what = "which is no probability from 0 to 1"
    wrong = np.flatnonzero(outside)
    if len(wrong):
        value = shown(column.astype(object).iloc[wrong[0]])  # 3.0, not np.float64(3.0)
        raise UsageError(
            f"{name} of customer {ids[wrong[0]]!r} of the scores is {value}, {what}; give what "
            "Lifecycle.score returns"
        )
    return numbers


def scheme_of_scores(scores: pd.DataFrame, name: str | Path | None) -> Scheme:
    """Return the scheme that scores are of.

    Raises
    ------
    UsageError
        It has other stages, or none of the package has these.
    """
    from stagecast.features.stages.scheme_files import known_schemes, load_scheme

    stages = {
        str(column).removeprefix("p_stage_")
        for column in scores.columns
        if str(column).startswith("p_stage_")
    }
    names = known_schemes() if name is None else [name]
    for candidate in names:
        scheme = load_scheme(candidate)
        if set(scheme.ids) == stages:
            return scheme
    if name is None:
        raise UsageError(
            f"no scheme of the package has the stages {', '.join(sorted(stages))}; name the file "
            "of the scheme with scheme="
        )
    raise UsageError(
        f"scheme={name!r} has the stages {', '.join(scheme.ids)}, and the scores "
        f"{', '.join(sorted(stages)) or 'none'}; name the scheme that the model was fitted with"
    )
