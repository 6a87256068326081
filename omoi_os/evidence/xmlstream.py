"""XML that nobody vouches for, read chunk by chunk in constant memory.

Two parsers see the file. The first reads the prolog only and stops at a DOCTYPE, before libxml2 reads
the entities in it: `resolve_entities=False` alone still expands entities inside attributes. The second
one feeds the reader with the few elements that it asked for, and everything that is complete is cut
from the tree after each chunk, asked for or not: a hundred million `<a/>` in a row cost no memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, TypedDict, cast

from lxml import etree

from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.evidence.limits import Deadline, ReadLimits

CHUNK = 64 * 1024

# A licence comment fits; a prolog that goes on for longer is not a report.
_MAX_PROLOG = 1024 * 1024


class _Options(TypedDict):
    resolve_entities: bool
    no_network: bool
    load_dtd: bool
    huge_tree: bool
    collect_ids: bool


_HARDENED = _Options(
    resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, collect_ids=False
)


class Refused(Exception):
    """The file cannot be measured; carries the reason to the reader's public function.

    Never leaves the package: a reader returns `reason`.
    """

    def __init__(self, code: UnreadableCode, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.reason = Unreadable(code, detail, fix)


class XmlStream:
    """One pass over an XML file.

    Attributes:
        root_name: Local name of the root element, known before anything is parsed into a tree.
    """

    def __init__(self, source: BinaryIO, limits: ReadLimits) -> None:
        """Read the prolog.

        Raises:
            Refused: Empty, not XML, too large, or with a DOCTYPE.
        """
        self._limits = limits
        self._deadline = Deadline(limits.max_seconds)
        self._chunks = self._bounded(source)
        self._prolog: list[bytes] = []
        self.root_name = local_name(self._read_prolog())

    def batches(self, tags: Sequence[str]) -> Iterator[list[tuple[str, etree._Element]]]:
        """Yield the start and end events of each chunk; a batch is empty where no tag of ours occurs.

        Elements are whole at their end event and gone when the next batch is asked for. Comments,
        instructions and white space between elements are left out: it costs less not to build them.

        Args:
            tags: What to report, in lxml's notation; the root must be among them.

        Raises:
            Refused: Malformed, truncated, too large, too deep or too slow. What was yielded until then is
                worth nothing.
        """
        parser = etree.XMLPullParser(
            ("start", "end"),
            tag=tags,
            remove_comments=True,
            remove_pis=True,
            remove_blank_text=True,
            **_HARDENED,
        )
        root: etree._Element | None = None
        for chunk in self._all_chunks():
            with _syntax_errors_refuse():
                parser.feed(chunk)
            batch = cast("list[tuple[str, etree._Element]]", list(parser.read_events()))
            if root is None and batch:
                root = batch[0][1]
            yield batch
            # A removed node with a live proxy is moved to a document of its own: let go of them first.
            batch.clear()
            if root is not None:
                _cut_finished(root)
        with _syntax_errors_refuse():
            parser.close()

    def _read_prolog(self) -> str:
        parser = etree.XMLParser(target=_Prolog(), **_HARDENED)
        try:
            with _syntax_errors_refuse():
                for chunk in self._chunks:
                    self._prolog.append(chunk)
                    parser.feed(chunk)
                    if sum(map(len, self._prolog)) > _MAX_PROLOG:
                        raise _too_large(_MAX_PROLOG, "before its first element")
                if not b"".join(self._prolog).strip():
                    raise Refused(UnreadableCode.EMPTY, "the file is empty", "Write the report again.")
                parser.close()
        except _RootSeen as seen:
            return seen.tag
        raise Refused(UnreadableCode.MALFORMED, "the file has no element", "Write the report again.")

    def _all_chunks(self) -> Iterator[bytes]:
        while self._prolog:
            yield self._prolog.pop(0)
        yield from self._chunks

    def _bounded(self, source: BinaryIO) -> Iterator[bytes]:
        # Counted while reading: a file can grow after its size was asked for, and a pipe has none.
        total = 0
        while chunk := source.read(CHUNK):
            total += len(chunk)
            if total > self._limits.max_bytes:
                raise _too_large(self._limits.max_bytes)
            if self._deadline.passed:
                raise Refused(
                    UnreadableCode.TOO_SLOW,
                    f"reading took longer than {self._limits.max_seconds:g} seconds",
                    "Split the report, or raise the time limit.",
                )
            yield chunk


class _RootSeen(Exception):
    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag


class _Prolog:
    """A parser target that ends the parse at the first thing that decides."""

    def doctype(self, *_names: str | None) -> None:
        raise Refused(
            UnreadableCode.FORBIDDEN_MARKUP,
            "the file has a DOCTYPE, which can define entities and fetch files",
            "Write the report without a DOCTYPE.",
        )

    def start(self, tag: str | bytes, attrib: object) -> None:  # noqa: ARG002 - lxml's signature
        raise _RootSeen(str(tag))

    def end(self, tag: str | bytes) -> None:
        """Never reached: the first start ends the parse."""

    def data(self, data: str | bytes) -> None:
        """Never reached."""

    def comment(self, text: str | bytes) -> None:
        """A prolog may hold comments."""

    def close(self) -> None:
        """There is nothing to return."""


def local_name(tag: str) -> str:
    """The tag without its namespace."""
    return tag.rpartition("}")[2]


def _cut_finished(root: etree._Element) -> None:
    """Remove what is complete: only the last child of an open element can still be open."""
    node = root
    while len(node):
        del node[:-1]
        node = node[0]


@contextlib.contextmanager
def _syntax_errors_refuse() -> Iterator[None]:
    try:
        yield
    except etree.XMLSyntaxError as error:
        raise _refusal(error) from error


def _refusal(error: etree.XMLSyntaxError) -> Refused:
    # libxml2's message may quote the file at any length, so it is cut.
    said = " ".join(str(error.msg).split())[:200]
    if error.code == etree.ErrorTypes.ERR_RESOURCE_LIMIT:  # type: ignore[attr-defined] # the stubs lack it
        code = UnreadableCode.TOO_DEEP if "depth" in said else UnreadableCode.TOO_LARGE
        return Refused(code, f"the XML goes beyond the parser's limits: {said}", "Write a smaller report.")
    return Refused(
        UnreadableCode.MALFORMED,
        f"the file is not well-formed XML: {said}",
        "Write the report again; a run that was stopped leaves half a file.",
    )


def _too_large(max_bytes: int, where: str = "") -> Refused:
    return Refused(
        UnreadableCode.TOO_LARGE,
        f"the file has more than {max_bytes:,} bytes {where}".rstrip(),
        "Split the report, or raise the size limit.",
    )
