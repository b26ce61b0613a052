"""Which members the models of P(no purchase), of orders and of spend have, and their settings.

The defaults are those of every training that names none.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from stagecast.features.errors import UsageError, did_you_mean

_RESERVED = ("rfm", "splines", "share", "recency", "rule")
"""Names that the pool itself gives to members."""


class _Short:
    """Prints the parameters that are not the defaults."""

    def __repr__(self) -> str:
        changed = [
            f"{f.name}={getattr(self, f.name)!r}"
            for f in fields(self)  # type: ignore[arg-type]  # each subclass is a dataclass
            if getattr(self, f.name) != f.default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


def _check(owner: str, name: str, value: object, low: float, high: float, whole: bool) -> None:
    kind = int if whole else int | float
    if not isinstance(value, kind) or isinstance(value, bool) or not low <= value <= high:
        raise UsageError(
            f"{owner}: {name} = {value!r} must be a {'whole ' if whole else ''}number between "
            f"{low:g} and {high:g}"
        )


@dataclass(frozen=True, repr=False)
class Btyd(_Short):
    """The customer-base models as a member: MBG/NBD and Pareto/NBD.

    The value of customers rests on these models with or without the member.

    Parameters
    ----------
    models
        Which of ``mbg_nbd`` and ``pareto_nbd`` are fitted; they also give ``p_alive`` and ``clv``.
    regular_gaps
        Whether MBG/NBD may become MBG/CNBD-k where gaps are more regular than chance makes them.
    """

    models: tuple[str, ...] = ("mbg_nbd", "pareto_nbd")
    regular_gaps: bool = True

    def __post_init__(self) -> None:
        known = ("mbg_nbd", "pareto_nbd")
        models = (self.models,) if isinstance(self.models, str) else tuple(self.models)
        if not models or len(set(models)) < len(models):
            raise UsageError(f"Btyd: models = {models!r} must name one or both of {known}")
        if unknown := [name for name in models if name not in known]:
            raise UsageError(
                f"Btyd: there is no model {unknown[0]!r}.{did_you_mean(str(unknown[0]), known)} "
                f"It has: {', '.join(known)}"
            )
        if not isinstance(self.regular_gaps, bool):
            raise UsageError(f"Btyd: regular_gaps = {self.regular_gaps!r} must be True or False")
        # in the order of a fit
        object.__setattr__(self, "models", tuple(name for name in known if name in models))


@dataclass(frozen=True, repr=False)
class Trees(_Short):
    """LightGBM as a member; the parameters are those of LightGBM.

    Parameters
    ----------
    leaves
        Leaves of a tree (``num_leaves``).
    learning_rate, reg_lambda, colsample_bytree, subsample
        As in ``lightgbm.LGBMClassifier``.
    min_child_samples
        Least number of rows of a leaf; None: a 250th of the rows, from 10 to 400.
    n_estimators
        Number of trees; None: that of 60, 100, 150 and 250 with the least loss on a later date.
    """

    leaves: int = 6
    learning_rate: float = 0.03
    reg_lambda: float = 10.0
    colsample_bytree: float = 0.7
    subsample: float = 0.7
    min_child_samples: int | None = None
    n_estimators: int | None = None

    def __post_init__(self) -> None:
        _check("Trees", "leaves", self.leaves, 2, 1024, True)
        _check("Trees", "learning_rate", self.learning_rate, 1e-4, 1, False)
        _check("Trees", "reg_lambda", self.reg_lambda, 0, 1e6, False)
        _check("Trees", "colsample_bytree", self.colsample_bytree, 0.01, 1, False)
        _check("Trees", "subsample", self.subsample, 0.01, 1, False)
        if self.min_child_samples is not None:
            _check("Trees", "min_child_samples", self.min_child_samples, 1, 1_000_000, True)
        if self.n_estimators is not None:
            _check("Trees", "n_estimators", self.n_estimators, 1, 10_000, True)

    def of_lightgbm(self) -> dict[str, Any]:
        """Return the parameters as LightGBM calls them, the number of trees apart."""
        named: dict[str, float | None] = {
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "lambda_l2": self.reg_lambda,
            "feature_fraction": self.colsample_bytree,
            "bagging_fraction": self.subsample,
            "min_data_in_leaf": self.min_child_samples,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, repr=False)
class Regression(_Short):
    """Two logistic regressions: on log RFM, and with splines on more features.

    Parameters
    ----------
    penalty
        Ridge penalty of the one with splines, on standardised columns (1/C of scikit-learn).
    rfm_penalty
        That of the one on RFM.
    """

    penalty: float = 5.0
    rfm_penalty: float = 1.0

    def __post_init__(self) -> None:
        _check("Regression", "penalty", self.penalty, 1e-6, 1e6, False)
        _check("Regression", "rfm_penalty", self.rfm_penalty, 1e-6, 1e6, False)


@dataclass(frozen=True, repr=False)
class OwnMember:
    """A classifier or regressor of your own as a member of a model.

    Parameters
    ----------
    estimator
        A scikit-learn classifier with ``predict_proba``, or a regressor, which is cloned for each
        fit. None in a model that was loaded without it.
    text
        How it prints itself.
    regresses
        Whether it is a regressor.
    """

    estimator: Any = field(default=None, compare=False)
    text: str = ""
    regresses: bool = field(default=False, compare=False)

    def __repr__(self) -> str:
        return f"member({self.text})"


def member(estimator: Any) -> OwnMember:
    """Return a classifier or a regressor as a member of :class:`stagecast.Lifecycle`.

    It is fitted on the rows that the trees are fitted on, a DataFrame of one row per buyer and past
    date. A classifier stands in ``members``; its target is 1 for no purchase within the horizon. A
    regressor stands in ``spend_members`` or ``orders_members``; its rows are the buyers who ordered
    within the horizon, its target the mean spend per order, or the number of orders, in it. Where
    it cannot handle nulls, they become the median of the column.

    Parameters
    ----------
    estimator
        Any scikit-learn classifier with ``predict_proba``, or any regressor, not fitted; a
        pipeline, too.

    Raises
    ------
    UsageError
        It is neither.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> member(RandomForestClassifier(min_samples_leaf=20))
    member(RandomForestClassifier(min_samples_leaf=20))
    """
    from sklearn.base import is_regressor

    if isinstance(estimator, type):
        raise UsageError(f"member({estimator.__name__}) is a class; write {estimator.__name__}()")
    text = " ".join(repr(estimator).split())
    regresses = bool(is_regressor(estimator))
    lacks = [
        name
        for name in ("fit", "predict" if regresses else "predict_proba", "get_params")
        if not callable(getattr(estimator, name, None))
    ]
    if lacks:
        raise UsageError(
            f"{text} has no {lacks[0]}; a member is a scikit-learn regressor, or a classifier with "
            "predict_proba, such as RandomForestClassifier(), or CalibratedClassifierCV around one "
            "without it"
        )
    return OwnMember(estimator, text, regresses)


@dataclass(frozen=True)
class MemberSettings:
    """Members of the models; None where one of the model of P(no purchase) is left out.

    Parameters
    ----------
    btyd, trees, regression
        Settings of our members of the model of P(no purchase).
    own
        Name -> member of the user beside these.
    spend, orders
        Name -> regressor of the user of the spend per order, and of the orders of those who order.
    """

    btyd: Btyd | None = field(default_factory=Btyd)
    trees: Trees | None = field(default_factory=Trees)
    regression: Regression | None = field(default_factory=Regression)
    own: Mapping[str, OwnMember] = field(default_factory=dict)
    spend: Mapping[str, OwnMember] = field(default_factory=dict)
    orders: Mapping[str, OwnMember] = field(default_factory=dict)

    @property
    def of_churn(self) -> MemberSettings:
        """The settings without the regressors of the user."""
        return replace(self, spend={}, orders={})

    @property
    def base(self) -> Btyd:
        """Settings of the customer-base models, which are fitted for the value in any case."""
        return self.btyd or Btyd()

    def uses(self, name: str) -> bool:
        """Return whether a member of the pool is used, by the name that the pool gives it."""
        part = "regression" if name in ("rfm", "splines") else name
        return getattr(self, part, True) is not None

    def with_estimators(self, fitted: Mapping[str, Any]) -> MemberSettings:
        """Return the settings with the estimators of fitted members of the user, not fitted.

        Regressors are named with what they predict, such as ``spend.mine``.
        """
        from sklearn.base import clone

        def part(members: Mapping[str, OwnMember], prefix: str = "") -> dict[str, OwnMember]:
            return {
                name: replace(member, estimator=clone(fitted[prefix + name]))
                if prefix + name in fitted
                else member
                for name, member in members.items()
            }

        return replace(
            self,
            own=part(self.own),
            spend=part(self.spend, "spend."),
            orders=part(self.orders, "orders."),
        )

    def as_mapping(self) -> dict[str, Any]:
        """Return the members of churn, as :func:`members_of` takes them."""
        ours = {name: getattr(self, name) for name in _OURS}
        return {**{name: value for name, value in ours.items() if value is not None}, **self.own}

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain data; of members of the user, how they print themselves."""
        ours = {name: getattr(self, name) for name in _OURS}
        return {
            **{name: None if value is None else asdict(value) for name, value in ours.items()},
            "own": {name: own.text for name, own in self.own.items()},
            **{
                part: {name: own.text for name, own in getattr(self, part).items()}
                for part in ("spend", "orders")
                if getattr(self, part)
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> MemberSettings:
        """Read what :meth:`to_json` returns; None are the defaults."""
        if data is None:
            return cls()
        ours = {n: None if data[n] is None else kind(**data[n]) for n, kind in _OURS.items()}
        own, spend, orders = (
            {
                str(name): OwnMember(None, str(text), part != "own")
                for name, text in data.get(part, {}).items()
            }
            for part in ("own", "spend", "orders")
        )
        return cls(**ours, own=own, spend=spend, orders=orders)


_OURS: Mapping[str, type[Any]] = {"btyd": Btyd, "trees": Trees, "regression": Regression}


def members_of(
    members: Mapping[str, Any] | None,
    spend: Mapping[str, Any] | None = None,
    orders: Mapping[str, Any] | None = None,
) -> MemberSettings:
    """Return the settings that the arguments of :class:`stagecast.Lifecycle` mean.

    Parameters
    ----------
    members, spend, orders
        Its ``members``, ``spend_members`` and ``orders_members``.

    Raises
    ------
    UsageError
        A name, or what stands under it, is none that the model can have.
    """
    regressors = MemberSettings(
        spend=_regressors("spend_members", spend), orders=_regressors("orders_members", orders)
    )
    if members is None:
        return regressors
    if not isinstance(members, Mapping) or not members:
        raise UsageError(
            f"members must be a dict like {{'btyd': sc.Btyd(), 'trees': sc.Trees()}} with at least "
            f"one member, not {members!r}"
        )
    own: dict[str, OwnMember] = {}
    for name, value in members.items():
        if name in _OURS:
            if not isinstance(value, _OURS[name]):
                raise UsageError(
                    f"members[{name!r}] is {value!r}; it takes sc.{_OURS[name].__name__}(), and a "
                    "member of your own has another name"
                )
        elif isinstance(value, OwnMember):
            _check_name(name, "members")
            if value.regresses:
                raise UsageError(
                    f"members[{name!r}] is a regressor, and the members give P(no purchase): hand "
                    "over a classifier, or the regressor as a member of spend_members or "
                    "orders_members"
                )
            own[name] = value
        elif isinstance(value, tuple(_OURS.values())):
            right = next(n for n, kind in _OURS.items() if isinstance(value, kind))
            raise UsageError(f"members[{name!r}] is {value!r}, which stands under {right!r}")
        else:
            raise UsageError(
                f"members[{name!r}] is {value!r}; a member of your own is sc.member(classifier), "
                f"ours are {', '.join(_OURS)}"
            )
    ours: dict[str, Any] = {name: members.get(name) for name in _OURS}
    return replace(regressors, **ours, own=own)


def _regressors(argument: str, members: Mapping[str, Any] | None) -> dict[str, OwnMember]:
    """Return the regressors of the user that an argument names."""
    if members is None:
        return {}
    if not isinstance(members, Mapping) or not members:
        raise UsageError(
            f"{argument} must be a dict like {{'mine': sc.member(regressor)}} with at least one "
            f"member, not {members!r}"
        )
    for name, value in members.items():
        _check_name(name, argument)
        if not isinstance(value, OwnMember) or not value.regresses:
            raise UsageError(
                f"{argument}[{name!r}] is {value!r}; it takes sc.member(regressor), beside our own "
                "models, which always take part"
            )
    return dict(members)


def _check_name(name: object, argument: str) -> None:
    is_name = isinstance(name, str) and name.isascii() and name.isidentifier()
    if not is_name or name in _RESERVED or keyword.iskeyword(str(name)):
        raise UsageError(
            f"{argument}: {name!r} cannot be the name of a member; take letters, digits and _, and "
            f"none of {', '.join(_RESERVED)}"
        )
