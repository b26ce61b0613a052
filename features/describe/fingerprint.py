"""A fingerprint of a log: the same events give the same digest, in whatever order they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

# The sum of 64 bits of the MD5 of each row; a sum does not depend on the order, and counts equal
# rows. It tells logs apart, and is no protection against somebody who forges one.
_QUERY = """
select count(*) as events, count(distinct customer_id) as customers,
    cast(min(timestamp) as varchar) as first_event, cast(max(timestamp) as varchar) as last_event,
    sum(cast(md5_number_lower(concat_ws(chr(31), customer_id, cast(epoch_us(timestamp) as varchar),
        event, coalesce(cast(amount as varchar), ''))) as hugeint)) % 18446744073709551616 as digest
from events
"""


@dataclass(frozen=True)
class Fingerprint:
    """What tells a log from another.

    Parameters
    ----------
    events, customers
        Their numbers.
    first_event, last_event
        Times of the first and the last event, UTC.
    digest
        Sixteen hex digits over customer, time, type and amount of every event.
    """

    events: int
    customers: int
    first_event: str
    last_event: str
    digest: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fingerprint:
        """Read what :meth:`to_json` returns."""
        return cls(**data)


def fingerprint(connection: duckdb.DuckDBPyConnection) -> Fingerprint:
    """Return the fingerprint of the table ``events`` of the event contract."""
    row = connection.execute(_QUERY).fetchall()[0]
    events, customers, first, last, digest = row
    return Fingerprint(int(events), int(customers), str(first), str(last), f"{int(digest):016x}")
