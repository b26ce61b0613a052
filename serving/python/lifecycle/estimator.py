"""The parameters of a ``Lifecycle``, in scikit-learn's ways: named, stored as given, cloned."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.frames.instants import Span
from stagecast.serving.python.parameters import POOLS, nested, with_nested

if TYPE_CHECKING:
    from stagecast.features.catalog.python_feature import OwnFeature
    from stagecast.training.calendar import Calendar
    from stagecast.training.config import Churn
    from stagecast.training.reference.rfm_settings import RfmSettings


class LifecycleParameters:
    """The parameters of a :class:`~stagecast.serving.python.lifecycle.Lifecycle`, which says what
    each means.
    """

    def __init__(
        self,
        *,
        horizon: Span = "90d",
        value_horizon: Span = "365d",
        scheme: str = "retail",
        churn: Churn = "inactivity",
        contract_start: Sequence[str] | str | None = None,
        contract_renewal: Sequence[str] | str | None = None,
        contract_end: Sequence[str] | str | None = None,
        discount: float = 0.10,
        margin: float = 1.0,
        pins: Mapping[str, float] | None = None,
        calendar: Calendar | None = None,
        rfm: RfmSettings | None = None,
        features: Sequence[OwnFeature] | None = None,
        members: Mapping[str, Any] | None = None,
        spend_members: Mapping[str, Any] | None = None,
        orders_members: Mapping[str, Any] | None = None,
        max_dates: int = 8,
        medium_risk: float = 1 / 3,
        high_risk: float = 2 / 3,
        seed: int = 20110901,
    ) -> None:
        self.horizon = horizon
        self.value_horizon = value_horizon
        self.scheme = scheme
        self.churn = churn
        self.contract_start = contract_start
        self.contract_renewal = contract_renewal
        self.contract_end = contract_end
        self.discount = discount
        self.margin = margin
        self.pins = pins
        self.calendar = calendar
        self.rfm = rfm
        self.features = features
        self.members = members
        self.spend_members = spend_members
        self.orders_members = orders_members
        self.max_dates = max_dates
        self.medium_risk = medium_risk
        self.high_risk = high_risk
        self.seed = seed

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = inspect.signature(cls.__init__).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, as they were given.

        Parameters
        ----------
        deep
            Whether to add the members and their settings by names such as
            ``members__trees__leaves``; where ``members`` is None, those of the usual three.
        """
        parameters = {name: getattr(self, name) for name in self._defaults()}
        return parameters | nested(parameters) if deep else parameters

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters; what was fitted stays as it is until the next :meth:`fit`.

        ``members__trees__leaves=8`` sets one setting of a member, ``members__trees=None`` leaves
        the member out. Neither changes the dict and the members that were handed over.

        Raises
        ------
        UsageError
            There is no such parameter.

        Examples
        --------
        >>> import stagecast as sc
        >>> sc.Lifecycle().set_params(members__hazard=None, members__trees__leaves=8)
        Lifecycle(members={'btyd': Btyd(), 'trees': Trees(leaves=8), 'regression': Regression()})
        """
        known = self._defaults()
        # whole parameters first, and a member before its settings
        for name in sorted(parameters, key=lambda name: name.count("__")):
            value = parameters[name]
            if name.split("__")[0] in POOLS and "__" in name:
                new = with_nested(self.get_params(deep=False), name, value)
            elif name in known:
                new = {name: value}
            else:
                raise UsageError(
                    f"Lifecycle has no parameter {name!r}.{did_you_mean(name, known)} "
                    f"It has: {', '.join(known)}"
                )
            for argument, changed in new.items():
                setattr(self, argument, changed)
        return self

    def __repr__(self) -> str:
        defaults = self._defaults()
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params(deep=False).items()
            if value is not defaults[name] and value != defaults[name]
        ]
        return f"Lifecycle({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))
