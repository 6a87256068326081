"""Coverage reports, measured by the lines that they list. Their totals are only compared."""

from __future__ import annotations

import re
from typing import BinaryIO

from omoi_os.domain.evidence import CoverageFacts, Unreadable, UnreadableCode
from omoi_os.evidence.coverage.json import read_json
from omoi_os.evidence.coverage.lcov import KEYS, read_lcov
from omoi_os.evidence.coverage.merge import merge_coverage
from omoi_os.evidence.coverage.source import Refused, Source, unknown_format
from omoi_os.evidence.coverage.xml import read_xml
from omoi_os.evidence.limits import ReadLimits

__all__ = ["merge_coverage", "read_coverage"]

_DEFAULT = ReadLimits()
_BOM = b"\xef\xbb\xbf"
_LCOV = re.compile(rb"(?:#[^\n]*\n\s*)*(?:%s):" % b"|".join(sorted(KEYS)))


def read_coverage(source: BinaryIO, limits: ReadLimits = _DEFAULT) -> CoverageFacts | Unreadable:
    """Measure the line coverage of one report; the format is told from the content.

    A file without executable lines is listed with a total of 0. A report without any is unreadable, so
    facts always have a total. Errors of the stream itself (`OSError`) are the caller's.
    """
    try:
        return _read(Source(source, limits))
    except Refused as refused:
        return refused.unreadable


def _read(source: Source) -> CoverageFacts:
    head = source.chunk()
    start = head.removeprefix(_BOM).lstrip()
    if not start:
        raise Refused(UnreadableCode.EMPTY, "the report is empty")
    if b"\0" in head or head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Refused(
            UnreadableCode.NOT_TEXT, "the report is not text in UTF-8", "Write the report in UTF-8."
        )
    if start.startswith(b"<"):
        return read_xml(source, head)
    if start.startswith(b"{"):
        return read_json(source, head)
    if _LCOV.match(start):
        return read_lcov(source, start)
    raise unknown_format("this text")
