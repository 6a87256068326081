from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from omoi_os.domain.evidence import DocumentFacts, Unreadable, UnreadableCode
from omoi_os.evidence.documents import DOCUMENT_LIMITS, read_document
from omoi_os.evidence.limits import ReadLimits

DOCUMENTS = Path(__file__).parent / "documents"


def facts(text: str | bytes, limits: ReadLimits = DOCUMENT_LIMITS) -> DocumentFacts:
    answer = read_document(io.BytesIO(text.encode() if isinstance(text, str) else text), limits)
    assert isinstance(answer, DocumentFacts), answer
    return answer


def refused(text: str | bytes, limits: ReadLimits = DOCUMENT_LIMITS) -> UnreadableCode:
    answer = read_document(io.BytesIO(text.encode() if isinstance(text, str) else text), limits)
    assert isinstance(answer, Unreadable), answer
    assert answer.detail
    assert answer.fix.endswith(".")
    return answer.code


def slugs(text: str) -> list[str]:
    return [heading.slug for heading in facts(text).headings]


def found(text: str) -> list[str]:
    return [placeholder.text for placeholder in facts(text).placeholders]


# --- whole documents ---------------------------------------------------------------------------


def test_an_enhancement_proposal_is_read_like_a_reader_would() -> None:
    read = facts((DOCUMENTS / "enhancement.md").read_bytes())
    assert [(heading.level, heading.line, heading.slug) for heading in read.headings] == [
        (1, 8, "enhancement_417_graceful_hand_over_of_leases"),
        (2, 20, "summary"),
        (2, 25, "motivation"),
        (3, 27, "goals"),
        (3, 32, "non_goals"),
        (2, 37, "design_details"),
        (3, 55, "test_plan"),
        (2, 59, "graduation_criteria"),
        (2, 64, "drawbacks"),
    ]
    assert read.headings[0].text == "Enhancement 417: graceful hand-over of leases"
    assert read.placeholders == ()
    assert read.empty_sections == {"drawbacks"}
    assert 900 < read.length < 1100


def test_a_draft_with_numbered_and_underlined_titles_is_read() -> None:
    read = facts((DOCUMENTS / "internet_draft.md").read_bytes())
    assert [(heading.level, heading.slug) for heading in read.headings] == [
        (2, "interaction_with_caches"),
        (1, "introduction"),
        (2, "security_considerations"),
        (2, "iana_considerations"),
        (2, "acknowledgements"),
    ]
    assert [(placeholder.text, placeholder.line) for placeholder in read.placeholders] == [("TBD", 13)]
    assert read.empty_sections == {"security_considerations"}


def test_a_proposal_in_restructured_text_is_read() -> None:
    read = facts((DOCUMENTS / "proposal.rst").read_bytes())
    assert [(heading.level, heading.line, heading.slug) for heading in read.headings] == [
        (1, 8, "abstract"),
        (2, 14, "motivation"),
        (3, 19, "earlier_work"),
        (2, 29, "specification"),
        (2, 42, "open_issues"),
        (2, 47, "copyright"),
    ]
    assert [(placeholder.text, placeholder.line) for placeholder in read.placeholders] == [("TBD", 45)]
    assert read.empty_sections == {"open_issues"}


def test_a_user_story_with_decorated_headings_is_read() -> None:
    read = facts((DOCUMENTS / "user_story.md").read_bytes())
    assert [heading.slug for heading in read.headings] == [
        "story_export_an_invoice",
        "acceptance_criteria",
        "out_of_scope",
        "definition_of_done",
    ]
    assert [placeholder.text for placeholder in read.placeholders] == ["[Insert the team's checklist]"]
    assert read.empty_sections == {"definition_of_done"}


def test_a_template_that_nobody_filled_in_says_almost_nothing() -> None:
    read = facts((DOCUMENTS / "unfilled_template.md").read_bytes())
    assert [(placeholder.text, placeholder.line) for placeholder in read.placeholders] == [
        ("{{ project_name }}", 1),
        ("<your name>", 3),
        ("_Fill in: what is this about?_", 7),
        ("Lorem ipsum dolor sit amet.", 11),
        ("TODO", 17),
        ("TBD", 17),
        ("XXX", 17),
        ("TODO(mara): write this section.", 21),
    ]
    assert read.empty_sections == {"overview", "architecture", "risks"}
    assert read.length < 100


# --- headings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Scope", ["scope"]),
        ("#Scope", []),
        ("\\# Scope", []),
        ("    # Scope", []),
        ("####### Scope", []),
        ("Scope\n=====", ["scope"]),
        ("Scope\n-", ["scope"]),
        ("Scope\n\n---", []),
        ("| Scope |\n|-------|\n| a |", []),
        ("```\n# Scope\n```", []),
        ("~~~\n# Scope", []),
        ("<!--\n# Scope\n-->\n# Goals", ["goals"]),
        ("<!--\n\n# Scope\n\n-->\n# Goals", ["goals"]),
        ("<!-- never closed\n\n# Scope", []),
        ("<!-->\n# Scope", ["scope"]),
        ("<div><!--\n\n# Scope\n\n--></div>", []),
        ("<div><!--\n\n# Scope\n\n<b>\n--></b>\n\n# Goals", ["goals"]),
        ("<div>\n# Scope\n</div>", []),
        ("<div>\n\n# Scope\n\n</div>", ["scope"]),
        ("> # Scope", []),
        ("- # Scope", []),
        ("# Scope <!-- note -->", ["scope"]),
        ("---\ntitle: x\n# Scope\n---\n# Goals", ["goals"]),
        ("+++\ntitle = 'x'\n+++\n# Goals", ["goals"]),
        ("---\n\n# Scope\n\n---\n# Goals", ["scope", "goals"]),
        ("---\ntitle: never closed\n\n# Scope", ["scope"]),
        ("text\n---\na: b\n# Scope\n---", ["text", "scope"]),
        ("a\r\n\r\n# Scope\r\rtext", ["scope"]),
        ("\ufeff# Scope", ["scope"]),
        ("#", [""]),
    ],
    ids=repr,
)
def test_only_a_visible_heading_of_the_document_itself_counts(text: str, expected: list[str]) -> None:
    assert slugs(text) == expected


def test_the_lines_of_headings_are_those_of_the_file() -> None:
    read = facts("---\na: b\n---\n\n# One\r\ntext\n\n<!--\n-->\nTwo\n===\n")
    assert [(heading.slug, heading.line) for heading in read.headings] == [("one", 5), ("two", 10)]


RST = ".. contents::\n\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Scope\n~~~~~\n\ntext", [("scope", 1)]),
        (RST + "Scope\n=====", [("scope", 1)]),
        (RST + "=====\nScope\n=====", [("scope", 1)]),
        (RST + "=======\n Scope\n=======", [("scope", 1)]),
        (
            RST + "One\n###\n\nTwo\n!!!\n\nThree\n!!!!!\n\nFour\n####",
            [("one", 1), ("two", 2), ("three", 2), ("four", 1)],
        ),
        (RST + "===\nOne\n===\n\nTwo\n===\n\nThree\n-----", [("one", 1), ("two", 2), ("three", 3)]),
        (RST + "One\n===\nTwo\n---", [("one", 1), ("two", 2)]),
        (RST + "Scope of it\n==", []),
        (RST + "two lines\nof text\n=======", []),
        (RST + "text\n\n----\n\ntext", []),
        (RST + "   Scope\n   =====", []),
        (RST + "Code::\n\n  Scope\n  =====", []),
        (RST + "..\n  Scope\n  =====", []),
        (RST + ".. _scope:\n\nScope\n=====", [("scope", 1)]),
        (RST + "=====  =====\na      b\n=====  =====\n1      2\n=====  =====", []),
    ],
    ids=repr,
)
def test_titles_of_restructured_text_are_told_by_their_lines(
    text: str, expected: list[tuple[str, int]]
) -> None:
    assert [(heading.slug, heading.level) for heading in facts(text).headings] == expected


@pytest.mark.parametrize(
    "text",
    [
        "# Title\n\n.. note:: a directive in a Markdown file\n\n## Scope\n",
        "# Title\n\nabc\n~~~\ncode\n~~~\n\n## Scope\n",
        "# Title\n\ntext\n***\n\n## Scope\n",
        "---\ntitle: x\n---\n\n# Title\n\n## Scope\n",
        "Title\n=====\n\n[a](https://example.org)\n\n.. x::\n\nScope\n-----\n",
    ],
    ids=repr,
)
def test_markdown_is_not_taken_for_restructured_text(text: str) -> None:
    assert slugs(text) == ["title", "scope"]


# --- length ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("abc", 3),
        ("  abc \n\n\t def  ", 7),
        ("# abc\n\ndef", 7),
        ("x" + " " * 600, 1),
        ("x" + "\n" * 600 + "y", 3),
        ("x" + "\u200b" * 600, 1),
        ("x" + "\u00ad\u2060\ufeff\u3164\U000e0041" * 200, 1),
        ("x" + "&#8203;&nbsp;&ZeroWidthSpace;" * 200, 1),
        ("x" * 600, 3),
        ("x\n\n" * 600, 1),
        ("the same sentence\n\n" * 200, 17),
        ("the same sentence\n" * 200, 17),
        ("x\n\n<!-- " + "hidden " * 600 + "-->", 1),
        ("x <!-- " + "hidden " * 600 + "-->", 1),
        ("x <!-- " + "never closed " * 600, 1),
        ("---\na: " + "hidden " * 600 + "\n---\nx", 1),
        ("x\n\n[//]: # (" + "hidden " * 600 + ")", 1),
        ("x\n\n[a]: https://example.org/" + "hidden" * 600, 1),
        ("[x](https://example.org/" + "ab" * 600 + ' "title")', 1),
        ('<p title="' + "hidden " * 600 + '">x</p>', 1),
        ("x\n\n<script>\n" + "hidden();\n" * 600 + "</script>", 1),
        ("x\n\n<style>\nnever closed " * 600, 1),
        ("x\n\n" + "-" * 600, 1),
        ("x\n\n" + "* * *\n\n" * 600, 1),
        ("| x | y |\n|" + "-" * 600 + "|---|\n", 3),
        ("**x** _y_ `z`", 5),
        ("[^1]: a note", 10),
        ("- [ ] a\n- [x] b", 5),
        ("```\ncode [a] <b>\n```", 12),
        ("a < b and c > d", 15),
        ("a <b\n\nc> d", 9),
        ("日本語の文書", 6),
        (".. comment\n   hidden\n\n.. note:: seen\n\n.. _t: http://hidden", 4),
        (".. note:: x\n\n" + "=" * 600 + "\n", 1),
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_length_counts_what_a_reader_sees_and_no_padding(text: str, length: int) -> None:
    assert facts(text).length == length


def test_rows_of_a_table_that_differ_all_count() -> None:
    rows = "".join(f"| case {number} | yes | P1 |\n" for number in range(50))
    assert facts(f"| what | needed | priority |\n|---|---|---|\n{rows}").length > 50 * 10


# --- placeholders ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TBD", ["TBD"]),
        ("The date is TBD.", ["TBD"]),
        ("**TBD**", ["TBD"]),
        ("_TBD_", ["TBD"]),
        ("(TBD)", ["TBD"]),
        ("Owner:TBD", ["TBD"]),
        ("TBD: who decides", ["TBD: who decides"]),
        ("TODO", ["TODO"]),
        ("TODO: write this", ["TODO: write this"]),
        ("TODO write this", ["TODO write this"]),
        ("TODO(mara): write this", ["TODO(mara): write this"]),
        ("* TODO", ["TODO"]),
        ("- [ ] TODO later", ["TODO later"]),
        ("[TODO]", ["[TODO]"]),
        ("Limits: TODO", ["TODO"]),
        ("It works. FIXME: it does not", ["FIXME: it does not"]),
        ("XXX", ["XXX"]),
        ("a\nb TBD\n\nTBD", ["TBD", "TBD"]),
        ("| a | b |\n|---|---|\n| x | TODO |", ["TODO"]),
        ("[insert name]", ["[insert name]"]),
        ("[Insert Name Here] did it", ["[Insert Name Here]"]),
        ("[Your name]", ["[Your name]"]),
        ("<insert name>", ["<insert name>"]),
        ("by <your_name>", ["<your_name>"]),
        ("by <insert name>, <your team>", ["<insert name>", "<your team>"]),
        ("{{ name }}", ["{{ name }}"]),
        ("Lorem ipsum dolor", ["Lorem ipsum dolor"]),
        ("_fill in_", ["_fill in_"]),
        ("*Fill in the goals*", ["*Fill in the goals*"]),
        ("(fill in)", ["(fill in)"]),
        ("To be determined.", ["To be determined"]),
        ("Owner: to be decided", ["to be decided"]),
        ("# [Insert title]", ["[Insert title]"]),
        ("# Plan TBD", ["TBD"]),
    ],
)
def test_text_that_was_meant_to_be_replaced_is_found(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The todo list of the app",
        "The todo table",
        "# Todo list",
        "| todo list | done |\n|---|---|\n| a | b |",
        "TODO comments in code are counted.",
        "We removed every TODO comment and each FIXME from the tree.",
        "A tool that searches the tree for\nTODO and FIXME markers",
        "`TODO` and ``TBD: x``",
        "The word 'TBD' or \u201cTODO\u201d is a mention.",
        "```\nTODO: inline\n[insert name]\n```",
        "    TODO: indented code",
        "<!-- TODO: a note of the template -->",
        "text <!-- TBD --> text",
        "- [ ] open\n- [x] done",
        "N/A",
        "TODO-list, TODO_FILE, TBDs, TBD-12 and AUTODOC",
        "HTTP 5XX, XXXL and Super Bowl XXX",
        "The size is to be determined by the caller.",
        "bytes that are\nto be written to disk",
        "[insert](https://example.org/insert) and [your name][1]",
        "f(x) = {x} and {{}}",
        "<b>insert</b> and <ins>text</ins>",
        "Insert a coin, enter your name, fill in the form.",
        "`{{ template }}` is Jinja",
    ],
    ids=repr,
)
def test_ordinary_prose_is_no_placeholder(text: str) -> None:
    assert found(text) == []


def test_a_placeholder_names_its_line() -> None:
    read = facts("# A\n\nfirst\nsecond is TBD\n\n| a |\n|---|\n| TODO |\n\n<p>\n<!--\n-->\n[insert x]\n</p>")
    assert [placeholder.line for placeholder in read.placeholders] == [4, 8, 13]


def test_placeholders_are_bounded_in_number_and_size() -> None:
    read = facts("TBD\n\n" * 1000 + "TODO: " + "x" * 5000)
    assert len(read.placeholders) == 100
    (one,) = facts("TODO: " + "x" * 5000).placeholders
    assert len(one.text) <= 80


# --- empty sections ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "empty"),
    [
        ("# A\n\ntext", ""),
        ("# A", "a"),
        ("# A\n\n# B\n\ntext", "a"),
        ("# A\n\n## B\n\ntext", ""),
        ("# A\n\n## B\n\n## C\n\ntext", "b"),
        ("# A\n\n### B\n\n## C\n\ntext", "b"),
        ("# A\n\n## B\n\n# C\n\ntext", "a b"),
        ("## A\n\n# B\n\ntext", "a"),
        ("# A\n\nTBD", "a"),
        ("# A\n\nTODO: write this", "a"),
        ("# A\n\n[insert scope]", "a"),
        ("# A\n\n<insert scope>", "a"),
        ("# A\n\n...", "a"),
        ("# A\n\n---", "a"),
        ("# A\n\n\u2705", "a"),
        ("# A\n\n&nbsp;", "a"),
        ("# A\n\n\u200b", "a"),
        ("# A\n\n<!-- text -->", "a"),
        ("# A\n\n<br>", "a"),
        ("# A\n\n- [ ]", "a"),
        ("# A\n\n[a]: https://example.org", "a"),
        ("# A\n\n![](plan.png)", "a"),
        ("# A\n\n![the plan](plan.png)", ""),
        ("# A\n\n```\ncode\n```", ""),
        ("# A\n\n```\n```", "a"),
        ("# A\n\n> quoted", ""),
        ("# A\n\n| a |\n|---|", ""),
        ("# A\n\nN/A", ""),
        ("# A\n\ntext\n\n# A", "a"),
        (RST + "aa\n==\n\nbb\n--\n\ntext\n\ncc\n==\n\n..\n  hidden", "cc"),
    ],
    ids=repr,
)
def test_a_section_without_words_is_empty(text: str, empty: str) -> None:
    assert facts(text).empty_sections == set(empty.split())


# --- what cannot be read -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", UnreadableCode.EMPTY),
        (b" \n\t\r\n", UnreadableCode.EMPTY),
        (b"\xef\xbb\xbf", UnreadableCode.EMPTY),
        ("# Scope".encode("utf-16"), UnreadableCode.NOT_TEXT),
        ("# Scope".encode("utf-16-le"), UnreadableCode.NOT_TEXT),
        ("# Übersicht".encode("latin-1"), UnreadableCode.NOT_TEXT),
        (b"# Scope\xed\xa0\x80", UnreadableCode.NOT_TEXT),
        (b"# Scope\0", UnreadableCode.NOT_TEXT),
        (b"\x89PNG\r\n\x1a\n\0\0", UnreadableCode.NOT_TEXT),
        (b"\n" * 200_001 + b"x", UnreadableCode.TOO_MANY),
        (b"# a\n" * 10_001, UnreadableCode.TOO_MANY),
        (b".. x::\n\n" + b"abcd\n~~~~\n\n" * 10_001, UnreadableCode.TOO_MANY),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_is_no_document_is_refused_with_its_reason(content: bytes, code: UnreadableCode) -> None:
    assert refused(content) == code


def test_a_document_of_exactly_the_limit_is_read_and_one_more_byte_is_not() -> None:
    limits = ReadLimits(max_bytes=10)
    assert facts("0123456789", limits).length == 10
    assert refused("01234567890", limits) == UnreadableCode.TOO_LARGE


@pytest.mark.parametrize("unit", ["> ", "- ", "1. "])
def test_nesting_is_refused_where_the_parser_would_drop_text_in_silence(unit: str) -> None:
    assert facts(unit * 5 + "text").length == 4
    assert refused(unit * 200 + "text") == UnreadableCode.TOO_DEEP
    assert refused(unit * 200 + "text", ReadLimits(max_depth=100_000)) == UnreadableCode.TOO_DEEP
    assert refused(unit * 5 + "text", ReadLimits(max_depth=3)) == UnreadableCode.TOO_DEEP


@pytest.mark.parametrize("text", ["text\n\n" * 5000, RST + "text\n\n" * 5000], ids=["markdown", "rst"])
def test_a_reader_out_of_time_says_so(text: str) -> None:
    assert refused(text, ReadLimits(max_seconds=0.0)) == UnreadableCode.TOO_SLOW


def test_what_would_fill_the_memory_is_refused() -> None:
    patient = ReadLimits(max_bytes=DOCUMENT_LIMITS.max_bytes, max_seconds=60)
    row = "|a" * 500 + "\n"
    assert refused(row + "|-" * 500 + "\n" + row * 450, patient) == UnreadableCode.TOO_MANY
    assert refused("|a" * 6000 + "\n" + "|-" * 6000, patient) == UnreadableCode.TOO_MANY
    assert refused("<a" + " b=c" * 6000, patient) == UnreadableCode.TOO_MANY
    # A picture inside the text is one long line and nothing unusual.
    assert facts(f'text\n\n<img src="data:image/png;base64,{"QUJD" * 5000}">', patient).length == 4


MIB = 1024 * 1024
HOSTILE = {
    **{
        repr(unit): (unit * MIB)[:MIB]
        for unit in (">", "> ", "[", "](", "](b(a)", "<!--", "<a ", "` `` ", "`")
    },
    **{
        repr(unit): (unit * MIB)[:MIB]
        for unit in ("{{", "((", "[insert ", "_insert ", "TBD ", "&amp;", "***")
    },
    "notes in one line": ("TODO: `a` |" * MIB)[:MIB],
    "one letter": "a" * MIB,
    "attributes": "<a" + " b=c" * (MIB // 4),
    "columns": "|a" * (MIB // 4) + "\n" + "|-" * (MIB // 4),
    "padded cells": "|a" * 4000 + "\n" + "|-" * 4000 + "\n" + "|\n" * 50_000,
    "definitions": "[a]: /x\n" * (MIB // 8),
    "quotes": (">" * 40 + " abc\n") * (MIB // 45),
    "lists": "".join("  " * depth + "- a\n" for depth in range(1000)),
    "titles": RST + "=" * (MIB // 2) + "\n" + "a\n" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_megabyte_is_read_or_refused_in_bounded_time(text: str) -> None:
    started = time.process_time()
    read_document(io.BytesIO(text.encode()))
    # Two seconds and what one step between two looks at the clock may take; quadratic time is minutes.
    assert time.process_time() - started < 6
