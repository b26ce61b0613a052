"""Definition of what counts as an occurrence of a customer's id.

An id is compared in the form that the reader of logs gives it: without surrounding blanks, and
``17850.0`` is ``17850``.

There are two kinds of ids:

- A **distinctive** id (``c-0042x``, ``ann@shop.example``, 8 digits or more) means the customer
  wherever it is a whole token. It is searched in every text and in raw bytes, in UTF-8 and UTF-16,
  also in the escaped forms of JSON, CSV, HTML and URLs. A token is whole if no letter, digit, ``_``
  or ``-`` touches it, and no ``.``, ``@`` or ``+`` joins it to another token: ``ann@shop.example``
  occurs neither in ``joann@shop.example`` nor in ``mary.ann@shop.example``.
- An **ambiguous** id (fewer than 4 characters, a number of up to 7 digits, a word of stagecast's
  own pages and files) may occur anywhere with another meaning: a 17 in a report is an amount, 15056
  in a log may be an article. It counts only where a customer's id is expected: in the customer
  column of a log, in columns and JSON fields named ``customer_id``, in the cells of the report that
  name customers; and, if it is a number of at least 4 digits, as a whole text value of stagecast's
  store and JSON files. Equal tokens elsewhere in a log are counted separately, and do not
  contradict the proof.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from urllib.parse import quote

from markupsafe import escape

from stagecast.features.errors import UsageError
from stagecast.features.shop.customer_ids import NO_CUSTOMER, clean_id

SHORT = 4
LONG_NUMBER = 8
CONTEXT = 8
"""Number of bytes on either side of an occurrence that show whether it is a whole token."""

_INTEGER = re.compile(r"\d+")
_FLOAT = re.compile(r"\d+\.0")
JOINERS = ".@+"


def trim(text: str) -> str:
    """Return the text without surrounding blanks, as DuckDB's ``trim``: it keeps tabs and newlines.

    >>> trim("\\u00a0 17 "), trim("\\t17")
    ('17', '\\t17')
    """
    start, end = 0, len(text)
    while start < end and unicodedata.category(text[start]) == "Zs":
        start += 1
    while end > start and unicodedata.category(text[end - 1]) == "Zs":
        end -= 1
    return text[start:end]


def is_word(character: str) -> bool:
    """Return whether a character is always part of a token."""
    return character.isalnum() or character in "_-"


def _continues(edge: str, neighbours: str) -> bool:
    """Return whether a token continues beyond an edge of the id.

    Parameters
    ----------
    edge
        First or last character of the id.
    neighbours
        The characters beyond it, from the nearest to the farthest.
    """
    if not is_word(edge) or not neighbours:
        return False
    return is_word(neighbours[0]) or (
        neighbours[0] in JOINERS and len(neighbours) > 1 and is_word(neighbours[1])
    )


@dataclass(frozen=True)
class Needle:
    """An id as bytes to search for.

    Parameters
    ----------
    data
        The bytes.
    encoding
        Encoding of the bytes, and of those around an occurrence.
    first, last
        First and last character of the id.
    """

    data: bytes
    encoding: str
    first: str
    last: str

    def is_whole(self, buffer: bytes, offset: int) -> bool:
        """Return whether the occurrence at this offset of the buffer is a whole token."""
        end = offset + len(self.data)
        left = buffer[max(offset - CONTEXT, 0) : offset].decode(self.encoding, "replace")
        right = buffer[end : end + CONTEXT].decode(self.encoding, "replace")
        return not _continues(self.first, left[::-1]) and not _continues(self.last, right)

    def offsets(self, buffer: bytes, start: int, stop: int) -> Iterator[int]:
        """Yield the offsets of whole tokens in a buffer, from ``start`` on and before ``stop``."""
        offset = buffer.find(self.data, start, stop + len(self.data) - 1)
        while offset >= 0:
            if self.is_whole(buffer, offset):
                yield offset
            offset = buffer.find(self.data, offset + 1, stop + len(self.data) - 1)


@dataclass(frozen=True)
class Customer:
    """The customer to erase.

    Parameters
    ----------
    forms
        The id in each of its forms: itself, and ``17850.0`` for ``17850``.
    ambiguous
        Whether the id may have another meaning; see the module.
    """

    forms: tuple[str, ...]
    ambiguous: bool

    @classmethod
    def parse(cls, text: str) -> Customer:
        """Return the customer whose id is written in a text, in the form of the reader of logs.

        Raises
        ------
        UsageError
            The id is blank, denotes a missing customer, or is not valid text.

        >>> Customer.parse(" 17850.0 ")
        Customer(forms=('17850', '17850.0'), ambiguous=True)
        >>> Customer.parse("c-0042x").ambiguous
        False
        """
        customer_id = trim(clean_id(text))
        if not customer_id:
            raise UsageError("CUSTOMER_ID is blank; give the id as it stands in the log")
        if customer_id.lower() in NO_CUSTOMER:
            raise UsageError(
                f"CUSTOMER_ID '{customer_id}' stands for a row without a customer; there is "
                "nobody to erase"
            )
        try:
            customer_id.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError(
                "CUSTOMER_ID is not valid UTF-8 text; type it as it stands in the log"
            ) from None
        integer = customer_id[:-2] if _FLOAT.fullmatch(customer_id) else customer_id
        if _INTEGER.fullmatch(integer):
            return cls((integer, integer + ".0"), ambiguous=len(integer) < LONG_NUMBER)
        distinctive = cls((customer_id,), ambiguous=False)
        ambiguous = len(customer_id) < SHORT or distinctive.occurs_in(_own_text())
        return cls((customer_id,), ambiguous=ambiguous)

    @property
    def short(self) -> bool:
        """Whether a whole value may mean something else, except in a column of customers."""
        customer_id = self.forms[0]
        return self.ambiguous and (len(customer_id) < SHORT or not _INTEGER.fullmatch(customer_id))

    def matches(self, value: object) -> bool:
        """Return whether a value of a customer column is this customer.

        >>> Customer.parse("17").matches(17.0), Customer.parse("17").matches("170")
        (True, False)
        """
        return not isinstance(value, bool) and value is not None and trim(str(value)) in self.forms

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """The id as texts contain it: as it is, and escaped as in JSON, CSV, HTML and URLs."""
        spellings: dict[str, None] = {}
        for form in self.forms:
            json_texts = [json.dumps(form, ensure_ascii=ascii)[1:-1] for ascii in (False, True)]
            html_texts = [str(escape(form)), html.escape(form), html.escape(form, quote=False)]
            for text in (
                form,
                *json_texts,
                form.replace('"', '""'),
                *html_texts,
                quote(form, safe=""),
                quote(form),
            ):
                spellings[text] = None
        return tuple(spellings)

    def occurs_in(self, text: str) -> bool:
        """Return whether the id is a whole token of a text.

        >>> ann = Customer.parse("ann@shop.example")
        >>> texts = ("of ann@shop.example.", "joann@shop.example", "mary.ann@shop.example")
        >>> [ann.occurs_in(text) for text in texts]
        [True, False, False]
        """
        return any(True for _ in self.offsets_in(text))

    def is_mentioned_in(self, text: str) -> bool:
        """Return whether a sentence is about the customer.

        An ambiguous id has to follow the word "customer".

        >>> shop = Customer.parse("17")
        >>> texts = ("customer 17 has 9,000 events", "17 customers, or customer 170")
        >>> shop.is_mentioned_in(texts[0]), shop.is_mentioned_in(texts[1])
        (True, False)
        """
        if not self.ambiguous:
            return self.occurs_in(text)
        return any(
            re.search(rf"\bcustomer '?{re.escape(form)}'?(?![\w-]|\.\w)", text)
            for form in self.forms
        )

    def offsets_in(self, text: str) -> Iterator[int]:
        """Yield the offsets in a text at which the id is a whole token."""
        for spelling in self.spellings:
            start = text.find(spelling)
            while start >= 0:
                end = start + len(spelling)
                left, right = text[max(start - 2, 0) : start], text[end : end + 2]
                if not _continues(spelling[0], left[::-1]) and not _continues(spelling[-1], right):
                    yield start
                start = text.find(spelling, start + 1)

    def occurs_in_line(self, line: str) -> bool:
        """Return whether a malformed line names the customer.

        A distinctive id counts as a token; an ambiguous one as a whole field, with any separator.

        >>> shop = Customer.parse("17")
        >>> shop.occurs_in_line('17;2025-01-01;"x'), shop.occurs_in_line("8,12:17,170")
        (True, False)
        """
        if not self.ambiguous:
            return self.occurs_in(line)
        fields = re.split(r"[,;\t|]", line)
        return any(self.matches(field.strip().strip('"')) for field in fields)

    def needles(self, encodings: Iterable[str] = ()) -> tuple[Needle, ...]:
        """Return the byte sequences to search for.

        Parameters
        ----------
        encodings
            Encodings to search for in addition to UTF-8 and UTF-16.
        """
        needles: dict[bytes, Needle] = {}
        for text in self.spellings:
            needles.setdefault(text.encode(), Needle(text.encode(), "utf-8", text[0], text[-1]))
        for form in self.forms:
            for encoding in ("utf-16-le", "utf-16-be", *encodings):
                try:
                    data = form.encode(encoding)
                except UnicodeEncodeError:
                    continue  # a file in this encoding cannot contain the id
                needles.setdefault(data, Needle(data, encoding, form[0], form[-1]))
        return tuple(needles.values())


@cache
def _own_text() -> str:
    """Return the text of the pages and schemes, and the names of columns and features."""
    from stagecast.features import schemes
    from stagecast.features.catalog.standard import standard
    from stagecast.serving.languages.texts import FOLDER
    from stagecast.serving.scoring import score_schema
    from stagecast.serving.store import tables

    folders = [FOLDER, *map(Path, schemes.__path__)]
    files = sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in (".html", ".toml", ".css")
    )
    names = [column.name for table in tables.metadata.tables.values() for column in table.columns]
    names += [*tables.metadata.tables, *(column.name for column in score_schema.columns(()))]
    names += [feature.name for feature in standard(90).features]
    return "\n".join([*(path.read_text(encoding="utf-8") for path in files), *names])
