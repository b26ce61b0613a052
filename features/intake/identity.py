"""Ids that cannot be told apart, and ids that may be one: no customer is merged with another.

A float holds whole numbers exactly up to 2^53 (of 32 bits: 2^24); beyond that, neighbouring ids are
the same float. A workbook shows a long number as 7.41099E+12, of which the last digits are lost.
"""

from __future__ import annotations

import duckdb

from stagecast.features.intake.expressions import Compiled, quote_text

EXACT_DOUBLE, EXACT_FLOAT = 1 << 53, 1 << 24
"""The first whole numbers of which a float of 64 and of 32 bits holds only every second one."""
SCIENTIFIC_ID = r"\d([.,]\d*)?[eE]\+\d+|\d[.,]\d+[eE]\d+"
"""Regular expression (RE2, Java) of an id in scientific notation, such as 7.41099E+12."""
FLOAT_ID = r"\d+\.0"
"""Regular expression of an id that may be a whole number read as a float."""
_FEWEST_DIGITS = len(str(EXACT_DOUBLE))
EXAMPLES = 2


def is_inexact(part: Compiled, text: str) -> str:
    """Return SQL of the condition that an id stands for several.

    Parameters
    ----------
    part
        The mapped column or expression of the id.
    text
        SQL of the id as text.
    """
    column = part.single_column
    if column is not None and column.kind == "number":
        return (
            f"(CASE typeof({column.sql}) WHEN 'DOUBLE' THEN abs({column.sql}) >= {EXACT_DOUBLE} "
            f"WHEN 'FLOAT' THEN abs({column.sql}) >= {EXACT_FLOAT} ELSE false END)"
        )
    # searches for a letter and lengths are fast, and rule out most ids
    is_float = f"ends_with({text}, '.0') AND TRY_CAST({text} AS DOUBLE) >= {EXACT_DOUBLE}"
    return (
        f"(CASE WHEN contains({text}, 'E') OR contains({text}, 'e') THEN "
        f"regexp_full_match({text}, {quote_text(SCIENTIFIC_ID)}) "
        f"WHEN strlen({text}) >= {_FEWEST_DIGITS + 2} THEN {is_float} ELSE false END)"
    )


def float_ids_warning(label: str, float_count: int, id_count: int) -> list[str]:
    """Return the warning about ids such as 17850.0; empty where no row has one.

    Parameters
    ----------
    label
        The mapped column or expression of the id.
    float_count, id_count
        Rows whose id has this form, and all rows with an id.
    """
    if not float_count:
        return []
    if float_count == id_count:
        return [
            f"every customer id of {label!r} ends in .0 and was read without it, as a whole number"
        ]
    return [
        f"{float_count:,} of {id_count:,} customer ids of {label!r} end in .0 and were left as "
        "they are, for the others do not: is 17850.0 the same customer as 17850?"
    ]


def similar_ids_warning(con: duckdb.DuckDBPyConnection, label: str) -> str | None:
    """Return a sentence about ids that differ in capitals or blanks only; None without such ids.

    Parameters
    ----------
    con
        Holds the table ``ids`` with the different ids of the log.
    label
        The mapped column or expression of the id.
    """
    alike = "lower(replace(replace(customer_id, ' ', ''), chr(160), ''))"
    # hashes are small, so that the ids of a large log need not be held in memory
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE similar_ids AS SELECT {alike} AS alike, customer_id
        FROM ids WHERE hash({alike}) IN
            (SELECT hash({alike}) FROM ids GROUP BY 1 HAVING count(*) > 1)"""
    )
    ((groups, ids, example),) = con.execute(
        f"""SELECT count(*), sum(n), min(examples) FROM (SELECT count(*) AS n,
            list_sort(list(customer_id))[:{EXAMPLES}] AS examples
        FROM similar_ids GROUP BY alike HAVING count(*) > 1)"""
    ).fetchall()
    con.execute("DROP TABLE similar_ids")
    if not groups:
        return None
    examples = " and ".join(f"customer {similar!r}" for similar in example)
    return (
        f"{ids:,} customer ids of {label!r} differ from another one in capitals or blanks only, "
        f"such as {examples}: they are read as {ids:,} customers, and may be "
        f"{groups:,}. If they are, map --customer to an expression like 'lower(COLUMN)', or "
        "mend the export"
    )
