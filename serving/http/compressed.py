"""Bodies that are compressed with gzip, taken apart piece by piece and never beyond a limit."""

from __future__ import annotations

import zlib

from stagecast.serving.http.problems import ProblemError

_GZIP = 16 + zlib.MAX_WBITS


class Inflater:
    """Returns the content of the pieces of a gzip body.

    A small body can have an endless content, so each call says how much of it is wanted.
    """

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)

    def __call__(self, piece: bytes, wanted: int) -> bytes:
        """Return the content of the next piece, at most ``wanted`` bytes of it.

        Raises
        ------
        ProblemError
            400: it is not gzip.
        """
        try:
            content = self._stream.decompress(piece, max(wanted, 1))
        except zlib.error:
            raise _damaged() from None
        if self._stream.unused_data:
            raise _damaged()
        return content

    def check_end(self) -> None:
        """Check that the body was whole.

        Raises
        ------
        ProblemError
            400: it ended too early.
        """
        if not self._stream.eof:
            raise _damaged()


def inflater(encoding: str | None) -> Inflater | None:
    """Return what decodes a body with this ``Content-Encoding``; None: it is not compressed.

    Raises
    ------
    ProblemError
        415: the encoding is not known.
    """
    if encoding is None or (name := encoding.strip().lower()) in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return Inflater()
    raise ProblemError(
        415,
        "encoding-unknown",
        "the body is encoded otherwise than by gzip; send it with 'Content-Encoding: gzip', or as "
        "it is",
        headers={"Accept-Encoding": "gzip"},
    )


def _damaged() -> ProblemError:
    return ProblemError(400, "gzip-damaged", "the body is no gzip, or ends too early")
