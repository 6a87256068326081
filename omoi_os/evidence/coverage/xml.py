"""XML reports, hardened and without a tree: the parser calls a target for each element and keeps nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import cast

from lxml import etree

from omoi_os.domain.evidence import CoverageFacts, UnreadableCode
from omoi_os.evidence.coverage.dialects import Clover, Cobertura, Dialect, Jacoco
from omoi_os.evidence.coverage.source import Refused, Source, malformed, too_many, unknown_format


def _hardened[Parser](make: Callable[..., Parser], **more: object) -> Parser:
    return make(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, **more)


_MISC = rb"(?:\s++|<\?.*?\?>|<!--.*?-->)*+"
# Quotes may hold anything; outside them a bracket would open an internal subset.
_DOCTYPE = rb"""<!DOCTYPE(?:[^\[\]<>"']|"[^"]*"|'[^']*')*+>"""
_BEFORE_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?" + _MISC, re.DOTALL)
_PLAIN_DOCTYPE = re.compile(_DOCTYPE + _MISC, re.DOTALL)
_ROOT = re.compile(rb"<[^!?/\s]")
_ENCODING = re.compile(rb"""<\?xml[^>]*?\bencoding\s*=\s*["']([^"']*)""")
# Encodings in which the bytes of "<!DOCTYPE" mean nothing else: UTF-7 and UTF-16 would walk past the check.
_ASCII_LIKE = re.compile(rb"utf-?8|us-ascii|ascii|iso-8859-\d+|latin-?1|(?:windows|cp)-?125\d", re.IGNORECASE)

_BY_CHILD: dict[tuple[str, str], type[Dialect]] = {
    **{("coverage", child): Cobertura for child in ("sources", "packages", "package", "classes", "class")},
    **{("coverage", child): Clover for child in ("project", "testproject")},
    **{("report", child): Jacoco for child in ("sessioninfo", "group", "package", "counter")},
}


def check_prolog(head: bytes) -> None:
    """Refuse what must not reach the parser.

    Real reports name their DTD ("<!DOCTYPE coverage SYSTEM …>"), so that much is allowed, and it is never
    fetched. Declarations inside the DOCTYPE are entities or worse, and no report has them.

    Raises:
        Refused: An internal subset, an encoding that hides one, or no root element in the first 64 KiB.
    """
    encoding = _ENCODING.search(head[:512])
    if encoding and not _ASCII_LIKE.fullmatch(encoding[1]):
        name = encoding[1][:40].decode("ascii", "replace")
        raise Refused(
            UnreadableCode.NOT_TEXT, f"the report is encoded as {name}", "Write the report in UTF-8."
        )
    place = _end(_BEFORE_ROOT, head, 0)
    if head.startswith(b"<!DOCTYPE", place):
        after = _end(_PLAIN_DOCTYPE, head, place)
        if after == place:
            raise Refused(
                UnreadableCode.FORBIDDEN_MARKUP,
                "the DOCTYPE holds declarations of its own (entities can be made to explode)",
                "Write the report without declarations in its DOCTYPE.",
            )
        place = after
    if not _ROOT.match(head, place):
        raise malformed("no root element stands at the start of the report")


def _end(pattern: re.Pattern[bytes], head: bytes, place: int) -> int:
    match = pattern.match(head, place)
    return match.end() if match else place


def find_dialect(head: bytes) -> type[Dialect]:
    """Which of the dialects a report is, by its root element and the first element in it.

    Raises:
        Refused: None of them.
    """
    parser = _hardened(etree.XMLPullParser, events=("start",))
    parser.feed(head)
    names = list(islice(_names(parser), 2))
    dialect = _BY_CHILD.get((names[0], names[1])) if len(names) == 2 else None
    if dialect is None:
        raise unknown_format(f"XML with the elements {' / '.join(names)[:80]!r}")
    return dialect


def _names(parser: etree.XMLPullParser) -> Iterator[str]:
    for _, element in cast("Iterator[tuple[str, etree._Element]]", parser.read_events()):
        yield str(element.tag)


def read_xml(source: Source, head: bytes) -> CoverageFacts:
    """Read Cobertura, JaCoCo or Clover XML.

    Raises:
        Refused: For every reason but a stream that cannot be read.
    """
    check_prolog(head)
    try:
        dialect = find_dialect(head)(source.limits)
        parser = _hardened(etree.XMLParser, target=dialect)
        for chunk in source.chunks(head):
            parser.feed(chunk)
            if dialect.items > source.limits.max_items:
                raise too_many(f"the report has more than {source.limits.max_items:,} elements")
        parser.close()
    except etree.XMLSyntaxError as error:
        raise _refused(error) from None
    return dialect.conclude()


def _refused(error: etree.XMLSyntaxError) -> Refused:
    message = str(error.msg)[:160]
    if "depth" in message:
        return Refused(UnreadableCode.TOO_DEEP, "the elements are nested too deeply")
    return malformed(f"the report is not well-formed XML ({message})")
