"""Columns of scores that are held in less than a value for each row.

They are no Arrow arrays, since Arrow imports pandas for the first array that it makes, which a
server for small requests does without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stagecast.features.arrays import Integers


@dataclass(frozen=True)
class CodedTexts:
    """A column of few texts.

    Parameters
    ----------
    codes
        Place of each row's text among the texts, shape (rows,); -1 is null.
    texts
        The texts.
    """

    codes: Integers
    texts: Sequence[str]

    def tolist(self) -> list[str | None]:
        """Return the text of each row."""
        texts = [*self.texts, None]
        return [texts[code] for code in self.codes.tolist()]

    def to_arrow(self, _: pa.DataType) -> pa.Array:
        """Return the column as texts of Arrow."""
        return pa.array(self.texts, pa.string()).take(pa.array(self.codes, mask=self.codes < 0))


@dataclass(frozen=True)
class EmptyLists:
    """A column of lists that are all empty.

    Parameters
    ----------
    rows
        Number of rows.
    """

    rows: int

    def tolist(self) -> list[list[object]]:
        """Return the list of each row."""
        return [[] for _ in range(self.rows)]

    def to_arrow(self, kind: pa.DataType) -> pa.Array:
        """Return the column as lists of Arrow, of such a type."""
        offsets = np.zeros(self.rows + 1, dtype=np.int32)
        return pa.ListArray.from_arrays(offsets, pa.array([], kind.value_type))


COMPACT = CodedTexts | EmptyLists
