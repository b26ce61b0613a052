"""Text files as streams of UTF-8 bytes, decompressed and decoded.

Nothing is guessed: the end of the file's name says how it is compressed, ``--encoding`` how it is
encoded.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from stagecast.features.errors import DataRefusedError

TEXT_ENDINGS = tuple(
    kind + compression for kind in (".csv", ".tsv", ".txt") for compression in ("", ".gz", ".zst")
)

_CHUNK_BYTES = 1 << 18
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: ("utf-8", "utf-8-sig"),
    codecs.BOM_UTF32_LE: ("utf-32",),
    codecs.BOM_UTF32_BE: ("utf-32",),
    codecs.BOM_UTF16_LE: ("utf-16",),
    codecs.BOM_UTF16_BE: ("utf-16",),
}
"""Byte order mark -> the encoding that it stands for, by its names."""


@contextmanager
def open_text(name: str, encoding: str = "utf-8") -> Iterator[IO[bytes]]:
    """Open a text file as a stream of UTF-8 bytes.

    Parameters
    ----------
    name
        Path of the file; the ending ``.gz`` or ``.zst`` means that it is compressed.
    encoding
        Encoding of the file. Bytes of a file in ``utf-8`` are passed on without a check.

    Raises
    ------
    DataRefusedError
        The file cannot be read or is truncated, or a byte does not belong to the encoding; the
        message holds its line and position.
    """
    try:
        with _decompressed(name) as stream:
            yield (
                stream
                if _is_utf8(encoding)
                else cast(IO[bytes], _Utf8Stream(stream, encoding, name))
            )
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataRefusedError(
            f"{name} is not a whole gzip file: {error}; fetch it again"
        ) from None
    except (pa.ArrowException, OSError) as error:
        if name.lower().endswith(".zst"):
            raise DataRefusedError(
                f"{name} is not a whole zstd file: {error}; fetch it again"
            ) from None
        raise DataRefusedError(
            f"{name} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None


@contextmanager
def _decompressed(name: str) -> Iterator[IO[bytes]]:
    lower = name.lower()
    if lower.endswith(".gz"):
        with gzip.open(name, "rb") as stream:
            yield cast(IO[bytes], stream)
    elif lower.endswith(".zst"):
        if not Path(name).stat().st_size:
            yield io.BytesIO()
            return
        with pa.OSFile(name) as file, pa.CompressedInputStream(file, "zstd") as decompressed:
            yield cast(IO[bytes], decompressed)
    else:
        with Path(name).open("rb") as plain_file:
            yield plain_file


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


class _Utf8Stream:
    """Stream in another encoding, read as UTF-8."""

    def __init__(self, stream: IO[bytes], encoding: str, label: str) -> None:
        self._stream, self._encoding, self._label = stream, encoding, label
        self._decoder: codecs.IncrementalDecoder | None = None
        self._lines = 1
        self._offset = 0

    def read(self, size: int = _CHUNK_BYTES) -> bytes:
        """Return up to about ``size`` bytes of UTF-8; nothing at the end of the stream."""
        while True:
            data = self._stream.read(size)
            if self._decoder is None:
                self._start_decoder(data)
            text = self._decode(data)
            if text or not data:
                self._lines += text.count("\n")
                return text.encode("utf-8", "surrogatepass")

    def _start_decoder(self, first_bytes: bytes) -> None:
        for mark, names in _BYTE_ORDER_MARKS.items():
            if first_bytes.startswith(mark):
                if not codecs.lookup(self._encoding).name.startswith(names[0]):
                    raise DataRefusedError(
                        f"{self._label} begins with the byte order mark of {names[0]}, "
                        "but --encoding says "
                        f"{self._encoding}; give --encoding {names[0]}"
                    )
                break
        else:
            if codecs.lookup(self._encoding).name in ("utf-16", "utf-32") and first_bytes:
                raise DataRefusedError(
                    f"{self._label} has no byte order mark, so its bytes can be read in "
                    "two orders; give "
                    f"--encoding {self._encoding}-le or {self._encoding}-be"
                )
        self._decoder = codecs.getincrementaldecoder(self._encoding)("strict")

    def _decode(self, data: bytes) -> str:
        assert self._decoder is not None
        pending = self._decoder.getstate()[0]
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            bytes_before = error.object[: error.start]
            line = self._lines + bytes_before.decode(self._encoding, "ignore").count("\n")
            position = self._offset - len(pending) + error.start + 1
            value = error.object[error.start] if error.start < len(error.object) else 0
            raise DataRefusedError(
                f"{self._label}, line {line}: byte {position} of the file ({value:#04x}) is not "
                f"{self._encoding}; "
                f"is the file in another encoding, or cut off?"
            ) from None
        self._offset += len(data)
        return text
