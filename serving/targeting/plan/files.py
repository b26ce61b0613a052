"""The list of a frozen plan as a file to send from.

The columns are those that each tool imports. Klaviyo and Mailchimp want the address first, as
``Email`` (https://help.klaviyo.com/hc/en-us/articles/115005078967) and ``Email Address``
(https://mailchimp.com/help/format-guidelines-for-your-import-file/); Meta's custom audiences take
``email`` as SHA-256 (https://www.facebook.com/business/help/2082575038703844). Addresses are stored
as SHA-256 alone; where a tool needs the address itself, it is the ``contact_key`` of the profile.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stagecast.features.errors import UsageError
from stagecast.features.files import atomic_write
from stagecast.serving.store.exports import escape_formula
from stagecast.serving.store.workbook import check_rows, write_workbook
from stagecast.serving.targeting.plan.book import PlanBook

Row = Mapping[str, Any]
PRESETS = ("plain", "klaviyo", "mailchimp", "meta")
ENDINGS = (".csv", ".xlsx")


@dataclass(frozen=True)
class Written:
    """A list that was written.

    Parameters
    ----------
    out
        The file.
    customers
        Its number of rows.
    without_address
        Customers who are left out, since the tool needs an address and none is stored.
    """

    out: Path
    customers: int
    without_address: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**vars(self), "out": str(self.out)}


def write_list(
    engine: sa.Engine, name: str, out: Path, *, arm: str | None = "contact", preset: str = "plain"
) -> Written:
    """Write the customers of a frozen plan as CSV or XLSX; the file appears whole or not at all.

    Parameters
    ----------
    engine
        The store.
    name
        The plan.
    out
        A file that does not exist, ``.csv`` or ``.xlsx``.
    arm
        ``contact`` or ``holdout``; None: both.
    preset
        One of :data:`PRESETS`.

    Raises
    ------
    UsageError
        There is no such plan, it is a draft, or the file exists or cannot be written.
    """
    if out.suffix not in ENDINGS:
        raise UsageError(f"--out {out} ends in neither .csv nor .xlsx; name it like contacts.csv")
    if out.exists():
        raise UsageError(f"--out {out} exists; name another file, so that no list is overwritten")
    head, row_of = _PRESETS[preset]
    made = [row_of({**row, "plan": name}) for row in PlanBook(engine).members(name, arm)]
    cells = [row for row in made if row[0]]
    with atomic_write(out) as draft:
        (_write_csv if out.suffix == ".csv" else _write_xlsx)(draft, head, cells)
    return Written(out, len(cells), len(made) - len(cells))


PLAIN = (
    "customer_id",
    "arm",
    "rank",
    "name",
    "play",
    "stage",
    "churn_band",
    "expected_gain",
    "expected_cost",
    "channel",
    "country",
)


def _plain(row: Row) -> list[Any]:
    return [
        row["customer_id"],
        row["arm"],
        row["rank"],
        row["name"],
        row["play"],
        row["stage"],
        row["churn_band"],
        round(row["gain"], 2),
        round(row["cost"], 2),
        row["channel"],
        row["country"],
    ]


def _address(row: Row) -> str | None:
    key = row["contact_key"]
    return key if key and "@" in key else None


def _klaviyo(row: Row) -> list[Any]:
    names = (row["name"] or "").split(" ", 1)
    return [
        _address(row),
        names[0],
        names[1] if len(names) > 1 else "",
        row["customer_id"],
        row["plan"],
        row["play"],
        row["stage"],
    ]


def _mailchimp(row: Row) -> list[Any]:
    names = (row["name"] or "").split(" ", 1)
    tags = ",".join(part for part in (row["plan"], row["play"]) if part)
    return [_address(row), names[0], names[1] if len(names) > 1 else "", tags]


def _meta(row: Row) -> list[Any]:
    return [row["email_sha256"], row["customer_id"], (row["country"] or "").lower()]


_PRESETS: dict[str, tuple[tuple[str, ...], Callable[[Row], list[Any]]]] = {
    "plain": (PLAIN, _plain),
    "klaviyo": (
        (
            "Email",
            "First Name",
            "Last Name",
            "External ID",
            "stagecast_plan",
            "stagecast_play",
            "stagecast_stage",
        ),
        _klaviyo,
    ),
    "mailchimp": (("Email Address", "First Name", "Last Name", "Tags"), _mailchimp),
    "meta": (("email", "extern_id", "country"), _meta),
}


def csv_pieces(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the plain list as CSV text that begins with a header line, a line at a time."""
    yield _line(PLAIN)
    for row in rows:
        yield _line([_safe(value) for value in _plain(row)])


def _line(cells: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _safe(value: Any) -> Any:
    if value is None:
        return ""
    return escape_formula(value) if isinstance(value, str) else value


def _write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([_safe(value) for value in row] for row in rows)


def _write_xlsx(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    check_rows(len(rows))
    write_workbook(path, "contacts", head, rows)
