"""LightGBM's C library, asked without its Python package.

``import lightgbm`` imports scikit-learn, pandas and SciPy's statistics, which a server that only
predicts does not need: they are most of the time of its start, and a third of its memory. The
functions of the C API are the ones that ``Booster.predict`` calls, with the same arguments, so that
predictions have the same bits. Trainings use the Python package.

Source: LightGBM, ``include/LightGBM/c_api.h``.
"""

from __future__ import annotations

import ctypes
import sys
import weakref
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from stagecast.features.arrays import Array

RAW: Final = 1
CONTRIBUTIONS: Final = 3
"""Kinds of prediction, as LightGBM's C API numbers them."""

_FLOAT64: Final = 1
_ROWS_MAX: Final = 2**31 - 1
_NAMES: Final = {"win32": "lib_lightgbm.dll", "darwin": "lib_lightgbm.dylib"}


class TreesError(ValueError):
    """LightGBM reports an error; the text is its own."""


class LoadedTrees:
    """An ensemble that LightGBM has parsed.

    Parameters
    ----------
    text
        LightGBM's text of the ensemble.

    Raises
    ------
    TreesError
        LightGBM does not read the text.
    """

    def __init__(self, text: str) -> None:
        self.handle = ctypes.c_void_p()
        rounds, classes = ctypes.c_int(), ctypes.c_int()
        _call(
            "LGBM_BoosterLoadModelFromString",
            ctypes.c_char_p(text.encode()),
            ctypes.byref(rounds),
            ctypes.byref(self.handle),
        )
        weakref.finalize(self, library().LGBM_BoosterFree, self.handle)
        _call("LGBM_BoosterNumModelPerIteration", self.handle, ctypes.byref(classes))
        self.classes = classes.value
        """Raw scores of a row."""

    def predict(self, rows: Array, kind: int, threads: int = 0) -> Array:
        """Return the predictions of rows, shape (rows, numbers), or (rows,) if a row has one.

        Parameters
        ----------
        rows
            Numbers, shape (rows, columns), row-major or column-major.
        kind
            :data:`RAW`, or :data:`CONTRIBUTIONS` with the base value behind those of the columns.
        threads
            Number of threads; 0 uses all cores.

        Raises
        ------
        TreesError
            LightGBM reports an error.
        """
        count, columns = rows.shape
        if count > _ROWS_MAX:
            raise TreesError(f"{count} rows are more than LightGBM takes at once ({_ROWS_MAX})")
        is_row_major = rows.flags.c_contiguous
        if not (is_row_major or rows.flags.f_contiguous):
            rows, is_row_major = np.ascontiguousarray(rows), True
        width = self.classes if kind == RAW else self.classes * (columns + 1)
        result, length = np.empty(count * width), ctypes.c_int64()
        _call(
            "LGBM_BoosterPredictForMat",
            self.handle,
            ctypes.c_void_p(rows.ctypes.data),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(count),
            ctypes.c_int32(columns),
            ctypes.c_int(is_row_major),
            ctypes.c_int(kind),
            ctypes.c_int(0),
            ctypes.c_int(-1),
            ctypes.c_char_p(f"num_threads={threads}".encode()),
            ctypes.byref(length),
            ctypes.c_void_p(result.ctypes.data),
        )
        if length.value != len(result):
            raise TreesError(f"{length.value} numbers were predicted, not {len(result)}")
        return result.reshape(count, width) if width > 1 else result


def _call(name: str, *arguments: Any) -> None:
    functions = library()
    if getattr(functions, name)(*arguments) != 0:
        raise TreesError(functions.LGBM_GetLastError().decode("utf-8", "replace"))


@cache
def library() -> Any:
    """Return LightGBM's C library: the file that its Python package would load, or has loaded."""
    for path in _candidates():
        if path.is_file():
            functions = ctypes.CDLL(str(path))
            functions.LGBM_GetLastError.restype = ctypes.c_char_p
            return functions
    import lightgbm  # it may find what we do not

    return getattr(lightgbm.basic, "_LIB")  # noqa: B009  # a name that its types keep to themselves


def _candidates() -> Iterator[Path]:
    spec = find_spec("lightgbm")
    for folder in map(Path, (spec.submodule_search_locations or ()) if spec else ()):
        for place in (folder.parent, folder / "bin", folder / "lib"):
            yield place / _NAMES.get(sys.platform, "lib_lightgbm.so")
