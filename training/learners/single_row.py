"""One row through a boosted ensemble by LightGBM's C function for single rows.

A prediction of many rows sets LightGBM up anew each time, which takes many times what the trees of
one row take. The C function is given a pointer to the row, and adds the same trees in the same
order. It is used only after it has reproduced the prediction of many rows bit by bit on rows of its
own; without it, or with other results, one row is predicted as many are.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array
from stagecast.training.learners.c_trees import RAW, LoadedTrees, library

_FLOAT64: Final = 1
_CHECKED_ROWS: Final = 8
_PARAMETERS: Final = b"num_threads=1"


class SingleRow:
    """A function from one row to its prediction; several threads may call it at once.

    Parameters
    ----------
    trees
        The loaded ensemble, which is kept alive.
    c_library
        LightGBM's C library.
    columns
        Number of columns of a row.
    kind
        :data:`RAW` or :data:`CONTRIBUTIONS`.

    Raises
    ------
    RuntimeError
        The library does not prepare the prediction.
    AttributeError
        The library has no such function.
    """

    def __init__(self, trees: LoadedTrees, c_library: Any, columns: int, kind: int) -> None:
        self._trees = trees
        self._predict = c_library.LGBM_BoosterPredictForMatSingleRowFast
        classes = trees.classes
        self._width = classes if kind == RAW else classes * (columns + 1)
        self._handle = ctypes.c_void_p()
        # the function keeps buffers, so that its callers take turns
        self._lock = threading.Lock()
        self._row, self._result = np.empty(columns), np.empty(self._width)
        self._length = ctypes.c_int64()
        self._arguments = (
            self._handle,
            ctypes.c_void_p(self._row.ctypes.data),
            ctypes.byref(self._length),
            ctypes.c_void_p(self._result.ctypes.data),
        )
        status = c_library.LGBM_BoosterPredictForMatSingleRowFastInit(
            trees.handle,
            ctypes.c_int(kind),
            ctypes.c_int(0),
            ctypes.c_int(-1),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(columns),
            ctypes.c_char_p(_PARAMETERS),
            ctypes.byref(self._handle),
        )
        if status != 0:
            raise RuntimeError("LightGBM does not prepare single rows of this ensemble")
        weakref.finalize(self, c_library.LGBM_FastConfigFree, self._handle)

    def __call__(self, row: Array | Sequence[float]) -> Array:
        """Return the prediction of one row, shape (width,).

        Parameters
        ----------
        row
            Numbers, shape (columns,).

        Raises
        ------
        RuntimeError
            LightGBM reports an error.
        """
        with self._lock:
            self._row[:] = row
            status, length = self._predict(*self._arguments), self._length.value
            result = self._result.copy()
        if status != 0 or length != self._width:
            raise RuntimeError(
                f"LightGBM predicted {length} numbers of one row with status {status}; "
                f"expected {self._width} with status 0"
            )
        return result


def single_row(trees: LoadedTrees, columns: int, kind: int) -> SingleRow | None:
    """Return the function for single rows; None where it does not give what many rows give.

    Parameters
    ----------
    trees
        The loaded ensemble.
    columns
        Number of columns of a row.
    kind
        :data:`RAW` or :data:`CONTRIBUTIONS`.
    """
    try:
        function = SingleRow(trees, library(), columns, kind)
        rows = _trial_rows(columns)
        expected = trees.predict(rows, kind, 1)
        results = np.array([function(row) for row in rows])
    except (AttributeError, RuntimeError):
        return None
    return function if results.tobytes() == expected.tobytes() else None


def _trial_rows(columns: int) -> Array:
    """Return rows of small and large numbers, zeros and nulls."""
    draw = np.random.default_rng(columns)
    rows = (
        draw.normal(size=(_CHECKED_ROWS, columns))
        * 10.0 ** np.arange(-2, _CHECKED_ROWS - 2)[:, None]
    )
    rows[0] = 0.0
    rows[draw.random(rows.shape) < 0.1] = np.nan
    return np.ascontiguousarray(rows)
