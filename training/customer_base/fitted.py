"""What the stand-alone models share: checks, summary of the parameters, files."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError as NotFittedByScikitLearn

from stagecast.features.arguments.values import path as path_of
from stagecast.features.arrays import Array
from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.files import write_text
from stagecast.training.customer_base.uncertainty import COVARIANCES, interval_of_logs
from stagecast.training.learners.btyd.stored import read_keys

FORMAT: Final = 1
_GIVE: Final = "the path of a file, like 'model.json'"
_MOST_BYTES = 1 << 20


class NotFittedError(UsageError, NotFittedByScikitLearn):  # type: ignore[misc]
    """The model is not fitted; an error of this package and of scikit-learn alike."""


class CustomerBaseModel(BaseEstimator):  # type: ignore[misc]
    """Base class of the stand-alone models.

    A subclass sets ``params_`` and ``log_covariance_`` in ``fit``, and stores what it fitted with
    ``_fitted`` and ``_restore``.
    """

    _file_keys: ClassVar[tuple[str, ...]]

    params_: pd.Series[float]
    log_covariance_: Array
    log_likelihood_: float
    n_customers_: int

    @property
    def summary(self) -> pd.DataFrame:
        """Estimates of the parameters and how certain they are.

        Returns
        -------
        pandas.DataFrame
            One row per parameter: ``estimate``, ``standard_error`` (delta method), and ``low`` and
            ``high``, the 95 % interval, symmetric in the log of the parameter. NaN where the
            likelihood does not determine the parameter.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        """
        self._check_fitted()
        estimate = np.array(self.params_, dtype=np.float64)
        error, low, high = interval_of_logs(estimate, self.log_covariance_)
        return pd.DataFrame(
            {"estimate": estimate, "standard_error": error, "low": low, "high": high},
            index=self.params_.index,
        )

    @property
    def covariance_(self) -> pd.DataFrame:
        """Covariance matrix of the parameters, by the delta method; lifetimes' variance_matrix_."""
        self._check_fitted()
        estimate = self.params_.to_numpy(dtype=np.float64)
        names = self.params_.index
        return pd.DataFrame(
            self.log_covariance_ * np.outer(estimate, estimate), index=names, columns=names
        )

    @property
    def aic_(self) -> float:
        """Akaike's information criterion; smaller is better."""
        self._check_fitted()
        return 2.0 * len(self.params_) - 2.0 * self.log_likelihood_

    def save(self, path: str | Path) -> None:
        """Write the fitted model to a JSON file, whole or not at all.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        """
        self._check_fitted()
        covariance = self.log_covariance_
        data = {
            "format": FORMAT,
            "class": type(self).__name__,
            "arguments": self.get_params(),
            "fitted": self._fitted(),
            "log_covariance": None if np.isnan(covariance).any() else covariance.tolist(),
        }
        file = path_of(path, "path", _GIVE)
        write_text(file, json.dumps(data, indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        UsageError
            There is no such file, or it holds a model of another class.
        DataRefusedError
            The file is not what :meth:`save` wrote; the message names the key.
        """
        path = path_of(path, "path", _GIVE)
        if not path.is_file():
            raise UsageError(f"path {path} is no file; give the path that `save` wrote")
        if path.stat().st_size > _MOST_BYTES:
            raise DataRefusedError(f"{path} is too large for a customer-base model")
        try:
            data = json.loads(path.read_text("utf-8"))
            keys = ("format", "class", "arguments", "fitted", "log_covariance")
            format_number, name, arguments, fitted, covariance = read_keys("model", data, keys)
            if format_number != FORMAT:
                raise ValueError(f"format is {format_number!r}; this version reads {FORMAT}")
            if name != cls.__name__:
                raise UsageError(f"{path} holds a {name}; read it with {name}.load")
            known = tuple(cls().get_params())
            values = read_keys("arguments", arguments, known)
            model = cls(**dict(zip(known, values, strict=True)))
            model._restore(
                dict(zip(cls._file_keys, read_keys("fitted", fitted, cls._file_keys), strict=True))
            )
            model.log_covariance_ = _matrix(covariance, len(model.params_))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataRefusedError(
                f"{path} holds no customer-base model: {error}; save the model again"
            ) from error
        return model

    @abstractmethod
    def _fitted(self) -> Mapping[str, Any]:
        """Return what ``fit`` learned, as JSON values with the keys ``_file_keys``."""

    @abstractmethod
    def _restore(self, fitted: Mapping[str, Any]) -> None:
        """Take over what :meth:`_fitted` returned."""

    def _check_fitted(self) -> None:
        if not hasattr(self, "params_"):
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit(X) first, or load a file"
            )

    def _check_covariance(self, kind: Any) -> None:
        if kind not in COVARIANCES:
            raise UsageError(f"covariance is {kind!r}; use {' or '.join(map(repr, COVARIANCES))}")


def _matrix(stored: Any, size: int) -> NDArray[np.float64]:
    if stored is None:
        return np.full((size, size), np.nan)
    matrix = np.array(stored, dtype=np.float64)
    if matrix.shape != (size, size) or not np.isfinite(matrix).all():
        raise ValueError(f"log_covariance has no shape ({size}, {size}) of finite numbers")
    return matrix
