"""The CDNOW log, out of the ``lifetimes`` wheel: purchases of a CD shop's new customers of early
1997.

Source: Fader, Hardie, "Forecasting Repeat Sales at CDNOW: A Case Study", Interfaces 31 (2001). The
files are read where the wheel put them, without importing ``lifetimes``, which prints and alters
the warning filters.
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
    customer_id (text, with leading zeros), timestamp (midnight), amount (US dollars; 80 rows of 0),
    quantity (CDs).

    Raises
    ------
    UsageError
        The wheel, or the file in it, is missing.

    >>> cdnow_frame().shape
    (69659, 4)
    """
    return _read("CDNOW_master.txt", ["customer_id", "date", "quantity", "amount"], header_lines=1)


def cdnow_sample_frame() -> pd.DataFrame:
    """Return the 1/10 sample that the papers fit on: 2,357 customers; columns as in
    :func:`cdnow_frame`.

    The ids are those of the whole log.

    >>> cdnow_sample_frame()["customer_id"].nunique()
    2357
    """
    return _read(
        "CDNOW_sample.txt",
        ["customer_id", "sample_id", "date", "quantity", "amount"],
        header_lines=0,
    )


def cdnow_log() -> EventLog:
    """Return the whole log as events.

    Its 255 rows that are the same in every column are kept: the log has no time of day, and the
    same sum twice on one day is two orders to those who publish figures on it.
    """
    return from_frame(cdnow_frame(), ReadOptions(duplicates="keep"))


def _read(name: str, columns: list[str], header_lines: int) -> pd.DataFrame:
    frame = pd.read_csv(
        _folder() / name,
        sep=r"\s+",
        skiprows=header_lines,
        header=None,
        names=columns,
        dtype={"customer_id": "str", "sample_id": "str", "date": "str"},
    )
    frame["timestamp"] = pd.to_datetime(frame["date"], format="%Y%m%d")
    return frame[["customer_id", "timestamp", "amount", "quantity"]]


def _folder() -> Path:
    spec = find_spec("lifetimes")
    for place in spec.submodule_search_locations or [] if spec is not None else []:
        folder = Path(place) / "datasets"
        if folder.is_dir():
            return folder
    raise UsageError(
        "the CDNOW log comes with the package lifetimes, which is not installed: run make install"
    )
