"""Query parameters of a ranked list; the API and the page use the same names."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stagecast.features.errors import UsageError, did_you_mean
from stagecast.serving.http.forms import drop_empty, with_both_names
from stagecast.serving.http.list_columns import LIST_COLUMNS, ListColumn, chosen_columns
from stagecast.serving.http.problems import Fault, ProblemError
from stagecast.serving.store.published_runs import Run
from stagecast.serving.store.queries import (
    DEFAULT_SORT,
    LAPSED_SORT,
    LIKELIEST_TO_BUY,
    LIKELIEST_TO_RETURN,
    LIMIT_DEFAULT,
    LIMIT_MAX,
    RISKIEST_SORT,
    SORTS,
    Filters,
    Order,
)
from stagecast.serving.store.store import Store
from stagecast.serving.store.usual_order import state_of_stages, usual_order

EARLIER: dict[str, Any] = {"deprecated": True}
EARLIER_NAMES = {"churn_band": "band", "min_value_at_risk": "min_value", "customer_id_prefix": "q"}
"""Name of a filter -> the name that it had, which goes on working."""
BANDS = ("low", "medium", "high")
STATES = ("prospect", "active", "lapsed")


class FilterQuery(BaseModel):
    """Filters of a list.

    An unknown name is an error; a parameter with an empty value has no effect.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: list[str] = Field(
        default=[],
        max_length=50,
        description="stage id; give it several times for customers on any of them",
    )
    churn_band: Literal["low", "medium", "high"] | None = Field(
        default=None, description="churn_band of the score"
    )
    band: Literal["low", "medium", "high"] | None = Field(
        default=None, json_schema_extra=EARLIER, description="earlier name of churn_band"
    )
    state: Literal["prospect", "active", "lapsed"] | None = None
    play: str | None = Field(default=None, max_length=256, description="play of the scheme")
    changed: Literal["jumped", "returned", "other_stage"] | None = Field(
        default=None,
        description="what changed since the run before: the churn probability rose by 0.1 or more, "
        "a lapsed customer is active again, or the stage is another one",
    )
    clv_above: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="clv of the score is more than this, in the currency of the run",
    )
    clv_at_most: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="clv of the score is this or less, in the currency of the run",
    )
    min_value_at_risk: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="least value_at_risk of the score, in the currency of the run",
    )
    min_value: float | None = Field(
        default=None,
        allow_inf_nan=False,
        json_schema_extra=EARLIER,
        description="earlier name of min_value_at_risk",
    )
    customer_id_prefix: str | None = Field(
        default=None, max_length=256, description="how the customer's id begins"
    )
    q: str | None = Field(
        default=None,
        max_length=256,
        json_schema_extra=EARLIER,
        description="earlier name of customer_id_prefix",
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, values: Any) -> Any:
        return with_both_names(drop_empty(values), EARLIER_NAMES)

    def filters(self, run: Run) -> Filters:
        """Return the filters as the store expects them.

        Raises
        ------
        ProblemError
            422: a stage is not in the scheme of the run.
        """
        for stage in self.stage:
            if stage not in run.stage_ids:
                hinted = did_you_mean(stage[:100], run.stage_ids)
                hint = f"stages of {run.scheme_id} are {', '.join(run.stage_ids)}"
                fault = Fault(
                    "query.stage",
                    f"no such stage.{hinted}",
                    stage,
                )
                raise ProblemError(
                    422,
                    "query-refused",
                    f"query.stage: no such stage.{hinted} The {hint}",
                    faults=[fault],
                )
        return Filters(
            tuple(self.stage),
            self.band,
            self.state,
            self.min_value,
            self.q,
            self.play,
            self.changed,
            self.clv_above,
            self.clv_at_most,
        )


class PinnedQuery(BaseModel):
    """The run that is asked for."""

    run: int | None = Field(
        default=None,
        ge=1,
        le=2**31 - 1,
        description="number of a run (GET /v1/runs), so that all pages are of it; left out: the "
        "current one",
    )


class ApiFilterQuery(PinnedQuery, FilterQuery):
    """Filters of a list in the API, and the run."""


class ListQuery(FilterQuery):
    """Filters, order, columns and cursor of a ranked list."""

    sort: str | None = Field(
        default=None,
        json_schema_extra={"enum": [*SORTS, *(f"-{name}" for name in SORTS)]},
        description="column of the score; with a leading - the largest first. "
        "Customers without a value stand last either way; ties go by customer_id. "
        f"Default: {DEFAULT_SORT}, or {RISKIEST_SORT} where no active customer has value at risk; "
        f"of the lapsed {LAPSED_SORT}, the value gone times the chance to return, or "
        f"{LIKELIEST_TO_RETURN} where nothing is known to return; of prospects {LIKELIEST_TO_BUY}; "
        f"of all customers also {LAPSED_SORT} where money is with the lapsed alone",
    )
    cursor: str | None = Field(
        default=None, max_length=4096, description="next_cursor of the page before"
    )
    column: list[ListColumn] = Field(
        default=[],
        max_length=len(LIST_COLUMNS),
        description="column of a list for people, with its head in words: of the page, of xlsx, "
        "and of csv, which has the columns of the contract without it",
    )

    @field_validator("sort")
    @classmethod
    def _check_sort(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return str(Order.parse(value))
        except UsageError:
            near = did_you_mean(value[:100].removeprefix("-"), SORTS)
            raise ValueError(
                f"is no column to sort by.{near} Give one of {', '.join(SORTS)}, with a leading - "
                "for the largest first"
            ) from None

    def order(self, store: Store, run: Run) -> Order:
        """Return the order as the store expects it; one that is not asked for is that of
        :func:`stagecast.serving.store.usual_order.usual_order`.
        """
        if self.sort is not None:
            return Order.parse(self.sort)
        return usual_order(store.overview(run)["totals"], self.state_in(run))

    def state_in(self, run: Run) -> str | None:
        """Return the state of all customers of the list, by its filters; None: of several."""
        return self.state or state_of_stages(run.scheme, tuple(self.stage))

    def columns(self, run: Run) -> tuple[ListColumn, ...]:
        """Return the columns of a list for people, beside the customer."""
        return chosen_columns(self.column, self.state_in(run))


class ApiListQuery(PinnedQuery, ListQuery):
    """Query parameters of the list in the API, which adds a run, a length, fields and a format."""

    limit: int | Literal["all"] = Field(
        default=LIMIT_DEFAULT,
        json_schema_extra={
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX},
                {"type": "string", "const": "all"},
            ]
        },
        description=(
            f"rows of a page, 1 to {LIMIT_MAX}; with CSV, XLSX and NDJSON also 'all', "
            "which streams the whole list"
        ),
    )
    format: Literal["json", "ndjson", "csv", "xlsx"] | None = Field(
        default=None,
        description=(
            "instead of the Accept header (application/json, application/x-ndjson, text/csv); "
            "xlsx is a workbook for people"
        ),
    )

    fields: str | None = Field(
        default=None,
        max_length=4096,
        description="names of the fields of a score that are asked for, separated by commas; one "
        "probability of the next stage is p_stage_<id>; left out: all",
    )

    @field_validator("limit")
    @classmethod
    def _check_limit(cls, value: int | str) -> int | str:
        if isinstance(value, int) and not 1 <= value <= LIMIT_MAX:
            raise ValueError(f"limit is 1 to {LIMIT_MAX}")
        return value
