"""What counts as an occurrence of a customer's id: the one place where that is decided.

An id is compared as the log's reader reads it: without the blanks around it, and ``17850.0`` is
``17850``.

Two kinds of id:

- A **telling** id (``c-0042x``, ``ann@shop.example``, 8 digits or more) means the customer
  wherever it stands as a whole token. It is looked for in every text and in raw bytes, in UTF-8
  and UTF-16, also as JSON, CSV, HTML and URLs escape it. A token is whole if no letter, digit,
  ``_`` or ``-`` touches it, nor a ``.``, ``@`` or ``+`` that joins it to more:
  ``ann@shop.example`` is neither in ``joann@shop.example`` nor in ``mary.ann@shop.example``.
- A **plain** id (fewer than 4 characters, a number of up to 7 digits, a word of our own pages and
  files) may stand anywhere and mean something else: a 17 in a report is an amount, 15056 in a log
  may be an article. It counts only where a customer's id can stand: the customer column of a log,
  columns and JSON fields named ``customer_id``, the cells of the report that name customers; and,
  for a number from 4 digits on, a whole text value of our own store and JSON. Other tokens alike
  in a log are counted apart, and are not held against the proof.
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
from stagecast.features.intake.reasons import NO_CUSTOMER

SHORT = 4
LONG_NUMBER = 8
CONTEXT = 8
"""Bytes on either side of an occurrence that tell whether it is a whole token."""

_WHOLE = re.compile(r"\d+")
_FLOAT = re.compile(r"\d+\.0")
JOINERS = ".@+"


def trim(text: str) -> str:
    """Return the text without the blanks around it, as DuckDB trims: tabs and line ends are part of
    an id.

    >>> trim("\\u00a0 17 "), trim("\\t17")
    ('17', '\\t17')
    """
    begin, end = 0, len(text)
    while begin < end and unicodedata.category(text[begin]) == "Zs":
        begin += 1
    while end > begin and unicodedata.category(text[end - 1]) == "Zs":
        end -= 1
    return text[begin:end]


def is_word(character: str) -> bool:
    """Tell whether a character is part of a token wherever it stands."""
    return character.isalnum() or character in "_-"


def _touches(edge: str, outwards: str) -> bool:
    """Tell whether what follows an edge of the id, read outwards, makes it part of a larger
    token.
    """
    if not is_word(edge) or not outwards:
        return False
    return is_word(outwards[0]) or (
        outwards[0] in JOINERS and len(outwards) > 1 and is_word(outwards[1])
    )


@dataclass(frozen=True)
class Needle:
    """Bytes to look for, and how to read the bytes around them."""

    data: bytes
    encoding: str
    first: str
    last: str

    def is_whole(self, buffer: bytes, at: int) -> bool:
        """Tell whether the occurrence at this offset of the buffer is a whole token."""
        end = at + len(self.data)
        before = buffer[max(at - CONTEXT, 0) : at].decode(self.encoding, "replace")
        after = buffer[end : end + CONTEXT].decode(self.encoding, "replace")
        return not _touches(self.first, before[::-1]) and not _touches(self.last, after)

    def starts(self, buffer: bytes, begin: int, until: int) -> Iterator[int]:
        """Yield where whole occurrences begin, from ``begin`` on and before ``until``."""
        at = buffer.find(self.data, begin, until + len(self.data) - 1)
        while at >= 0:
            if self.is_whole(buffer, at):
                yield at
            at = buffer.find(self.data, at + 1, until + len(self.data) - 1)


@dataclass(frozen=True)
class Customer:
    """The customer to erase.

    Parameters
    ----------
    forms
        the id as it may be written: itself, and ``17850.0`` for ``17850``.
    plain
        see the module.
    """

    forms: tuple[str, ...]
    plain: bool

    @classmethod
    def parse(cls, text: str) -> Customer:
        """Read an id as the log's reader would.

        Raises
        ------
        UsageError
            It is blank, stands for a missing customer, or is not text.

        >>> Customer.parse(" 17850.0 ")
        Customer(forms=('17850', '17850.0'), plain=True)
        >>> Customer.parse("c-0042x").plain
        False
        """
        given = trim(text)
        if not given:
            raise UsageError("CUSTOMER_ID is blank; give the id as it stands in the log")
        if given.lower() in NO_CUSTOMER:
            raise UsageError(
                f"CUSTOMER_ID '{given}' stands for a row without a customer; there is "
                "nobody to erase"
            )
        try:
            given.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError(
                "CUSTOMER_ID is not valid UTF-8 text; type it as it stands in the log"
            ) from None
        whole = given[:-2] if _FLOAT.fullmatch(given) else given
        if _WHOLE.fullmatch(whole):
            return cls((whole, whole + ".0"), plain=len(whole) < LONG_NUMBER)
        telling = cls((given,), plain=False)
        return cls((given,), plain=len(given) < SHORT or telling.stands_in(_own_text()))

    @property
    def short(self) -> bool:
        """Whether not even a whole value means the customer where the column does not say so."""
        return self.plain and (len(self.forms[0]) < SHORT or not _WHOLE.fullmatch(self.forms[0]))

    def is_named_by(self, value: object) -> bool:
        """Tell whether a value of a customer column is this customer.

        >>> Customer.parse("17").is_named_by(17.0), Customer.parse("17").is_named_by("170")
        (True, False)
        """
        return not isinstance(value, bool) and value is not None and trim(str(value)) in self.forms

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """The id as texts write it: bare, and escaped as in JSON, CSV, HTML and URLs."""
        spelled: dict[str, None] = {}
        for form in self.forms:
            inside = [json.dumps(form, ensure_ascii=ascii)[1:-1] for ascii in (False, True)]
            markup = [str(escape(form)), html.escape(form), html.escape(form, quote=False)]
            for text in (
                form,
                *inside,
                form.replace('"', '""'),
                *markup,
                quote(form, safe=""),
                quote(form),
            ):
                spelled[text] = None
        return tuple(spelled)

    def stands_in(self, text: str) -> bool:
        """Tell whether the id stands in a text as a whole token.

        >>> ann = Customer.parse("ann@shop.example")
        >>> texts = ("of ann@shop.example.", "joann@shop.example", "mary.ann@shop.example")
        >>> [ann.stands_in(text) for text in texts]
        [True, False, False]
        """
        return any(True for _ in self.places_in(text))

    def is_spoken_of(self, text: str) -> bool:
        """Tell whether a sentence is about the customer; a plain id has to be called one.

        >>> shop = Customer.parse("17")
        >>> texts = ("customer 17 has 9,000 events", "17 customers, or customer 170")
        >>> shop.is_spoken_of(texts[0]), shop.is_spoken_of(texts[1])
        (True, False)
        """
        if not self.plain:
            return self.stands_in(text)
        return any(
            re.search(rf"\bcustomer '?{re.escape(form)}'?(?![\w-]|\.\w)", text)
            for form in self.forms
        )

    def places_in(self, text: str) -> Iterator[int]:
        """Yield where in a text the id begins as a whole token."""
        for spelling in self.spellings:
            at = text.find(spelling)
            while at >= 0:
                end = at + len(spelling)
                before, after = text[max(at - 2, 0) : at][::-1], text[end : end + 2]
                if not _touches(spelling[0], before) and not _touches(spelling[-1], after):
                    yield at
                at = text.find(spelling, at + 1)

    def is_in_line(self, line: str) -> bool:
        """Tell whether a malformed line names the customer: as a token; a plain id as a whole field
        of any separator.

        >>> shop = Customer.parse("17")
        >>> shop.is_in_line('17;2025-01-01;"x'), shop.is_in_line("8,12:17,170")
        (True, False)
        """
        if not self.plain:
            return self.stands_in(line)
        fields = re.split(r"[,;\t|]", line)
        return any(self.is_named_by(field.strip().strip('"')) for field in fields)

    def needles(self, encodings: Iterable[str] = ()) -> tuple[Needle, ...]:
        """Return what to look for in raw bytes; ``encodings`` are looked for beside UTF-8 and
        UTF-16.
        """
        found: dict[bytes, Needle] = {}
        for text in self.spellings:
            found.setdefault(text.encode(), Needle(text.encode(), "utf-8", text[0], text[-1]))
        for form in self.forms:
            for encoding in ("utf-16-le", "utf-16-be", *encodings):
                try:
                    data = form.encode(encoding)
                except UnicodeEncodeError:
                    continue  # in this encoding the id cannot be written at all
                found.setdefault(data, Needle(data, encoding, form[0], form[-1]))
        return tuple(found.values())


@cache
def _own_text() -> str:
    """Return the words that our pages, schemes and columns use of themselves."""
    from stagecast.features import schemes
    from stagecast.features.catalog.standard import standard
    from stagecast.serving.reports.rendering import FOLDER
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
