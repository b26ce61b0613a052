"""Our members of the model of P(no purchase), and their settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from stagecast.features.arguments.values import texts
from stagecast.features.errors import UsageError, did_you_mean


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
        give = "names of models, like ('mbg_nbd', 'pareto_nbd')"
        models = texts(self.models, "Btyd: models", give)
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
class Hazard(_Short):
    """A hazard of orders, period by period, learned from every week of every customer so far.

    It needs a pool of many customers, and takes its weight from all members alike.

    Parameters
    ----------
    weight
        Weight in the pool, which is not learned.
    """

    weight: float = 0.2

    def __post_init__(self) -> None:
        _check("Hazard", "weight", self.weight, 0.01, 0.9, False)


OURS: Mapping[str, type[Any]] = {
    "btyd": Btyd,
    "trees": Trees,
    "regression": Regression,
    "hazard": Hazard,
}
