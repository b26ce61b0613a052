"""A text file is recognised by its content; what is no text is refused with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.events import read_events

LOG = "customer_id\ttimestamp\na\t2025-01-01\nb\t2025-01-02\n"


@pytest.mark.parametrize("name", ["log.asc", "log.data", "log.xls", "log", "LOG.DAT", "log.csv.1"])
def test_the_ending_of_a_text_file_does_not_matter(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(LOG, "utf-8")
    with read_events(path) as log:
        assert log.report.rows_loaded == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(40), "Excel workbook"),
        (b"\n <TABLE border=1><tr><td>customer_id</td></tr></table>", "HTML"),
        (b"\xef\xbb\xbf<!DOCTYPE html><html></html>", "HTML"),
        (b'{"customer_id": 1}\n', "JSON"),
        (b'[{"customer_id": 1}]', "JSON"),
        (b'<?xml version="1.0"?>', "XML"),
        (b"%PDF-1.4\n", "PDF"),
        (b"PAR1\x15\x04", "name it .parquet"),
    ],
)
def test_a_file_that_is_no_text_is_named_for_what_it_is(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "export.xls"
    path.write_bytes(content)
    with pytest.raises(DataRefusedError, match=words):
        read_events(path)


def test_a_folder_says_how_its_other_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "log.data").write_text(LOG, "utf-8")
    with pytest.raises(UsageError, match=r"\*\.data"):
        read_events(tmp_path)
    with read_events(f"{tmp_path}/*.data") as log:
        assert log.report.rows_loaded == 2
