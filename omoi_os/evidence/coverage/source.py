"""A report as it comes in: bounded while it is read, and one way to give up on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.evidence.limits import Deadline, ReadLimits

CHUNK = 64 * 1024
WRITE_AGAIN = "Run the tests with coverage again and attach the report as the tool wrote it."
KNOWN_FORMATS = "Cobertura XML, JaCoCo XML, Clover XML, lcov, coverage.py JSON, gcovr JSON"


class Refused(Exception):
    """Ends the reading of one report; never leaves this package."""

    def __init__(self, code: UnreadableCode, detail: str, fix: str = WRITE_AGAIN) -> None:
        super().__init__(detail)
        self.unreadable = Unreadable(code, detail, fix)


def malformed(detail: str) -> Refused:
    return Refused(UnreadableCode.MALFORMED, detail)


def too_many(detail: str) -> Refused:
    return Refused(UnreadableCode.TOO_MANY, detail, "Report on fewer files at once.")


def unknown_format(found: str) -> Refused:
    return Refused(
        UnreadableCode.UNKNOWN_FORMAT,
        f"{found} is no coverage report that is known here",
        f"Attach one of: {KNOWN_FORMATS}.",
    )


@dataclass(slots=True)
class Source:
    """Counts bytes and time while a report is read, so that no claimed size is believed."""

    raw: BinaryIO
    limits: ReadLimits
    deadline: Deadline = field(init=False)
    count: int = 0

    def __post_init__(self) -> None:
        self.deadline = Deadline(self.limits.max_seconds)

    def chunk(self) -> bytes:
        """Up to 64 KiB; less only at the end, whatever pieces the stream hands out."""
        parts: list[bytes] = []
        wanted = CHUNK
        while wanted and (part := self.raw.read(wanted)):
            parts.append(part)
            wanted -= len(part)
        self.count += CHUNK - wanted
        if self.count > self.limits.max_bytes:
            detail = f"the report is larger than {self.limits.max_bytes:,} bytes"
            raise Refused(UnreadableCode.TOO_LARGE, detail, "Report on fewer files at once.")
        self.check_time()
        return b"".join(parts)

    def chunks(self, head: bytes) -> Iterator[bytes]:
        """The head that was read to tell the format, then everything behind it."""
        while head:
            yield head
            head = self.chunk()

    def check_time(self) -> None:
        if self.deadline.passed:
            detail = f"reading took longer than {self.limits.max_seconds:g} seconds"
            raise Refused(UnreadableCode.TOO_SLOW, detail, "Report on fewer files at once.")
