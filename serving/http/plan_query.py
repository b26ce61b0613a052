"""Query parameters of the page on which a plan is made; shares are in per cent."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stagecast.serving.http.forms import drop_empty
from stagecast.serving.http.plan_bodies import (
    AudienceBody,
    CostsBody,
    EffectsBody,
    PlanBody,
    RulesBody,
)


class PlanQuery(BaseModel):
    """A plan as a form sends it; an empty field has no effect."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    play: list[str] = Field(default=[], max_length=50)
    stage: list[str] = Field(default=[], max_length=50)
    band: list[Literal["low", "medium", "high"]] = Field(default=[], max_length=3)
    state: list[Literal["prospect", "active", "lapsed"]] = Field(default=[], max_length=3)
    customer_id: list[Annotated[str, Field(max_length=256)]] = Field(default=[], max_length=1000)
    contacts: int | None = Field(default=None, ge=1)
    budget: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    contact_cost: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    offer: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    offer_percent: float | None = Field(default=None, ge=0, le=100)
    keep_percent: float | None = Field(default=None, ge=0, le=100)
    win_back_percent: float | None = Field(default=None, ge=0, le=100)
    holdout_percent: float = Field(default=10.0, ge=0, lt=100)
    quiet_days: int = Field(default=0, ge=0, le=3650)
    window_days: int | None = Field(default=None, ge=1, le=3650)
    min_gain: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    worth: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    require_consent: bool = False

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, values: Any) -> Any:
        return drop_empty(values)

    @field_validator("customer_id")
    @classmethod
    def _once(cls, ids: list[str]) -> list[str]:
        return list(dict.fromkeys(ids))

    def body(self) -> PlanBody:
        """Return the plan as the API takes it, without a name."""

        def share(percent: float | None) -> float | None:
            return None if percent is None else percent / 100

        return PlanBody(
            audience=AudienceBody(
                self.stage,
                self.play,
                list(self.band),
                list(self.state),
                customer_ids=self.customer_id or None,
            ),
            costs=CostsBody(self.contact_cost, self.offer, share(self.offer_percent)),
            effects=EffectsBody(share(self.keep_percent), share(self.win_back_percent)),
            rules=RulesBody(
                quiet_days=self.quiet_days,
                require_consent=self.require_consent,
                min_gain=self.min_gain,
            ),
            contacts=self.contacts,
            budget=self.budget,
            holdout=self.holdout_percent / 100,
            window_days=self.window_days,
            worth=self.worth,
        )
