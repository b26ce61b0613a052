"""Kind of a file by its first bytes: a text file is recognised by its content, not by its name."""

from __future__ import annotations

_KINDS = {
    b"PAR1": "a Parquet file: name it .parquet",
    b"\x1f\x8b": "compressed with gzip: name it .csv.gz",
    b"PK\x03\x04": "a zip archive or an Excel workbook: save it as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the old kind (.xls): save it as CSV",
    b"SQLite format 3": "a SQLite database: name it sqlite:///FILE?table=TABLE",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: name it .csv.zst",
    b"\xff\xfe": "UTF-16: give --encoding utf-16",
    b"\xfe\xff": "UTF-16: give --encoding utf-16",
    b"%PDF-": "a PDF: export the table as CSV",
    b"<?xml": "XML: export the table as CSV",
    b"<!doctype html": "a page of HTML, as some systems export under .xls: save it as CSV",
    b"<html": "a page of HTML, as some systems export under .xls: save it as CSV",
    b"<table": "a page of HTML, as some systems export under .xls: save it as CSV",
    b'{"': "JSON: convert it to CSV or Parquet, such as with pandas.read_json",
    b'[{"': "JSON: convert it to CSV or Parquet, such as with pandas.read_json",
}
"""First bytes of a file, in lower case where they are letters of a text -> what it is, what to try.
"""


def other_kind(first_bytes: bytes) -> str | None:
    """Return what a file is that is not CSV text, and what to try; None where nothing says so.

    Parameters
    ----------
    first_bytes
        At least the first 20 bytes of the file, or all of them.

    >>> other_kind(b"PAR1..."), other_kind(b"customer_id,timestamp")
    ('a Parquet file: name it .parquet', None)
    """
    for magic, kind in _KINDS.items():
        if first_bytes.startswith(magic):
            return kind
    text = first_bytes[:40].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for magic, kind in _KINDS.items():
        if magic.isascii() and magic == magic.lower() and text.startswith(magic):
            return kind
    return None
