"""Counts of the requests that one process has handled."""

from __future__ import annotations

import os
import resource
import sys
import time
from bisect import bisect_left
from collections import defaultdict
from itertools import accumulate
from pathlib import Path

from stagecast.serving.metrics.samples import Family, Sample, gauge

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of durations, in seconds."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
"""Label of a method that nobody has heard of, since each label is a series for ever."""


class _Durations:
    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


class Meter:
    """Counts requests; only the event loop calls it, so it needs no lock."""

    def __init__(self) -> None:
        self.inside = 0
        self._statuses: dict[tuple[str, str, int], int] = defaultdict(int)
        self._durations: dict[tuple[str, str], _Durations] = defaultdict(_Durations)
        self._shed: dict[str, int] = {"overloaded": 0, "limited": 0}
        self._started = time.time()

    def count(
        self, method: str, route: str, status: int, seconds: float, shed: str | None = None
    ) -> None:
        """Count a request that was handled.

        Parameters
        ----------
        method
            Its method, which can be any text.
        route
            Template of its route, never its path, which has ids.
        status
            Status of the answer; 0: there was none.
        seconds
            Time from its headers to the end of the answer, in seconds.
        shed
            ``overloaded``: refused since too many were being handled; ``limited``: since its key
            or address had sent too many; None: it was not refused for that.
        """
        known = method if method in METHODS else OTHER
        self._statuses[known, route, status] += 1
        self._durations[known, route].add(seconds)
        if shed is not None:
            self._shed[shed] += 1

    def families(self) -> list[Family]:
        """Return the counts, and what the system says of the process."""
        return [
            Family(
                "stagecast_requests_total",
                "counter",
                "Requests by method, template of the route, and status of the answer.",
                [
                    Sample({"method": method, "route": route, "status": str(status)}, count)
                    for (method, route, status), count in self._statuses.items()
                ],
            ),
            Family(
                "stagecast_request_seconds",
                "histogram",
                "Seconds from the headers of a request to the end of its answer.",
                [
                    sample
                    for (method, route), durations in self._durations.items()
                    for sample in _histogram({"method": method, "route": route}, durations)
                ],
            ),
            Family(
                "stagecast_requests_shed_total",
                "counter",
                "Requests refused: too many at once (overloaded), or of one key or address "
                "(limited).",
                [Sample({"reason": reason}, count) for reason, count in self._shed.items()],
            ),
            gauge("stagecast_requests_inside", "Requests that are being handled.", self.inside),
            gauge("process_start_time_seconds", "Start of the process, Unix time.", self._started),
            Family(
                "process_cpu_seconds_total",
                "counter",
                "Processor time of the process in seconds.",
                [Sample({}, time.process_time())],
            ),
            gauge(
                "process_resident_memory_bytes",
                "Memory of the process in bytes.",
                resident_bytes(),
            ),
        ]


def _histogram(labels: dict[str, str], durations: _Durations) -> list[Sample]:
    counts = list(accumulate(durations.buckets))
    bounds = [*(repr(bound) for bound in BUCKETS), "+Inf"]
    return [
        *(
            Sample({**labels, "le": bound}, count, "_bucket")
            for bound, count in zip(bounds, counts, strict=True)
        ),
        Sample(labels, durations.seconds, "_sum"),
        Sample(labels, counts[-1], "_count"),
    ]


def resident_bytes() -> float:
    """Return the memory of this process in bytes; the most that it had where no system file says.

    Source: proc(5), statm; getrusage(2).
    """
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(most if sys.platform == "darwin" else most * 1024)
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
