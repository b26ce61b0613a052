"""A text file as a stream of UTF-8 bytes, whatever it is compressed with and encoded in.

Nothing is guessed: compression is said by the end of the name, the encoding by ``--encoding``.
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
    kind + packed for kind in (".csv", ".tsv", ".txt") for packed in ("", ".gz", ".zst")
)

_CHUNK_BYTES = 1 << 18
_BOMS = {
    codecs.BOM_UTF8: ("utf-8", "utf-8-sig"),
    codecs.BOM_UTF32_LE: ("utf-32",),
    codecs.BOM_UTF32_BE: ("utf-32",),
    codecs.BOM_UTF16_LE: ("utf-16",),
    codecs.BOM_UTF16_BE: ("utf-16",),
}


@contextmanager
def open_text(name: str, encoding: str = "utf-8") -> Iterator[IO[bytes]]:
    """Open a text file as UTF-8 bytes; with ``utf-8`` they are passed on as they are, unchecked.

    Raises
    ------
    DataRefusedError
        The file cannot be read, is not whole, or its bytes are not of the encoding (with line and
        byte).
    """
    try:
        with _decompressed(name) as stream:
            yield (
                stream if _is_utf8(encoding) else cast(IO[bytes], _Recoded(stream, encoding, name))
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
        with pa.OSFile(name) as file, pa.CompressedInputStream(file, "zstd") as unpacked:
            yield cast(IO[bytes], unpacked)
    else:
        with Path(name).open("rb") as plain:
            yield plain


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


class _Recoded:
    """Reads a stream in one encoding as UTF-8."""

    def __init__(self, stream: IO[bytes], encoding: str, label: str) -> None:
        self._stream, self._encoding, self._label = stream, encoding, label
        self._decoder: codecs.IncrementalDecoder | None = None
        self._rest = b""
        self._lines = 1
        self._offset = 0

    def read(self, size: int = _CHUNK_BYTES) -> bytes:
        """Return up to about ``size`` bytes of UTF-8; nothing at the end of the stream."""
        while True:
            data = self._stream.read(size)
            if self._decoder is None:
                self._begin(data)
            text = self._decode(data)
            if text or not data:
                self._lines += text.count("\n")
                return text.encode("utf-8", "surrogatepass")

    def _begin(self, start: bytes) -> None:
        for bom, names in _BOMS.items():
            if start.startswith(bom):
                # a mark in the file says one thing and --encoding another: both cannot be right
                if not codecs.lookup(self._encoding).name.startswith(names[0]):
                    raise DataRefusedError(
                        f"{self._label} begins with the byte order mark of {names[0]}, "
                        "but --encoding says "
                        f"{self._encoding}; give --encoding {names[0]}"
                    )
                break
        else:
            if codecs.lookup(self._encoding).name in ("utf-16", "utf-32") and start:
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
            seen = error.object[: error.start]
            line = self._lines + seen.decode(self._encoding, "ignore").count("\n")
            at = self._offset - len(pending) + error.start + 1
            value = error.object[error.start] if error.start < len(error.object) else 0
            raise DataRefusedError(
                f"{self._label}, line {line}: byte {at} of the file ({value:#04x}) is not "
                f"{self._encoding}; "
                f"is the file in another encoding, or cut off?"
            ) from None
        self._offset += len(data)
        return text
