"""JUnit reports: what counts as a pass, what does not, and what is refused."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path

import pytest
from lxml import etree

from omoi_os.domain.evidence import SuiteFacts, Unreadable, UnreadableCode
from omoi_os.evidence.junit import merge_suites, read_junit
from omoi_os.evidence.limits import ReadLimits
from omoi_os.evidence.xmlstream import XmlStream

CORPUS = Path(__file__).parents[1].parent / "shared" / "corpus" / "junit"


def read(text: str | bytes, limits: ReadLimits | None = None) -> SuiteFacts | Unreadable:
    source = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return read_junit(source) if limits is None else read_junit(source, limits)


def facts(text: str | bytes) -> SuiteFacts:
    found = read(text)
    assert isinstance(found, SuiteFacts), found
    return found


def refusal(text: str | bytes, limits: ReadLimits | None = None) -> UnreadableCode:
    found = read(text, limits)
    assert isinstance(found, Unreadable), found
    assert found.detail
    assert found.fix.endswith(".")
    return found.code


def counts(found: SuiteFacts) -> tuple[int, int, int, int]:
    return found.passed, found.failed, found.errored, found.skipped


def case(inside: str = "", attributes: str = "") -> str:
    return f'<testsuite><testcase classname="t.A" name="a" {attributes}>{inside}</testcase></testsuite>'


PASS, FAIL, ERROR, SKIP = (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("inside", "attributes", "expected"),
    [
        ("", "", PASS),
        ("<system-out>FAILED error</system-out>", "", PASS),
        ('<properties><property name="failure" value="1"/></properties>', "", PASS),
        ("<failure/>", "", FAIL),
        ("<failed/>", "", FAIL),
        ("<failure>one</failure><failure>two</failure>", "", FAIL),
        ("<error/>", "", ERROR),
        ("<failure/><error/>", "", FAIL),
        ("<error/><failure/>", "", FAIL),
        ("<skipped/>", "", SKIP),
        ("<ignored/>", "", SKIP),
        ("<disabled/>", "", SKIP),
        ("<skipped/><failure/>", "", FAIL),
        ("<error/><skipped/>", "", ERROR),
        ("<flakyFailure/>", "", PASS),
        ("<flakyError/>", "", PASS),
        ("<flakyFailure/><skipped/>", "", SKIP),
        ("<flakyFailure/><failure/>", "", FAIL),
        ("<failure/><rerunFailure/><rerunFailure/>", "", FAIL),
        ("<rerunFailure/>", "", FAIL),
        ("<rerunError/>", "", ERROR),
        ("", 'status="run"', PASS),
        ("", 'status="passed"', PASS),
        ("", 'status=""', PASS),
        ("", 'status="run" result="completed"', PASS),
        ("", 'status="run" result="skipped"', SKIP),
        ("", 'status="notrun"', SKIP),
        ("", 'status="Not Run"', SKIP),
        ("", 'status="notrun" result="suppressed"', SKIP),
        ("", 'status="disabled"', SKIP),
        ("", 'status="SKIPPED"', SKIP),
        ("", 'status="fail"', FAIL),
        ("", 'status="Failed"', FAIL),
        ("", 'result="failed"', FAIL),
        ("", 'status="passed" result="failure"', FAIL),
        ("", 'status="timed_out"', ERROR),
        ("<skipped/>", 'status="failed"', FAIL),
        ("<failure/>", 'status="passed"', FAIL),
        ("<failure/>", 'status="something new"', FAIL),
    ],
)
def test_the_worst_that_is_said_about_a_case_counts(
    inside: str, attributes: str, expected: tuple[int, ...]
) -> None:
    assert counts(facts(case(inside, attributes))) == expected


DIALECTS = {
    "surefire": (
        """<?xml version="1.0" encoding="UTF-8"?>
        <testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="x.xsd"
          version="3.0" name="shop.CartTest" time="0.04" tests="3" errors="1" skipped="1" failures="0">
          <properties><property name="java.version" value="17"/></properties>
          <testcase name="adds" classname="shop.CartTest" time="0.01"/>
          <testcase name="pays" classname="shop.CartTest"><error type="java.io.IOException"
          ><![CDATA[at x]]></error></testcase>
          <testcase name="ships" classname="shop.CartTest"><skipped message="later"/></testcase>
        </testsuite>""",
        (1, 0, 1, 1),
    ),
    "pytest": (
        """<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest"
        errors="0" failures="1" skipped="1" tests="3" time="0.1" hostname="ci"><testcase
        classname="tests.test_a" name="test_b[&lt;x&gt;]" time="0.1" /><testcase classname="tests.test_a"
        name="test_c"><failure message="assert 1 == 2&#10;">def</failure></testcase><testcase
        classname="tests.test_a" name="test_d"><skipped type="pytest.xfail" message=""/></testcase>
        </testsuite></testsuites>""",
        (1, 1, 0, 1),
    ),
    "phpunit, nested": (
        """<testsuites><testsuite name="all" tests="3" assertions="3" errors="0" failures="1" skipped="0">
          <testsuite name="CartTest" tests="2" failures="1">
          <testsuite name="CartTest::adds" tests="2" failures="1">
            <testcase name="adds with data set #0"/>
            <testcase name="adds with data set #1"><failure/></testcase>
          </testsuite></testsuite>
          <testcase name="loose"/></testsuite></testsuites>""",
        (2, 1, 0, 0),
    ),
    "googletest": (
        """<testsuites tests="3" failures="1" disabled="1" errors="0" name="AllTests">
          <testsuite name="Cart" tests="3" failures="1" disabled="1" skipped="0" errors="0">
            <testcase name="Adds" status="run" result="completed" classname="Cart"/>
            <testcase name="Pays" status="run" result="completed" classname="Cart">
              <failure message="Expected"/><failure message="Actual"/></testcase>
            <testcase name="DISABLED_Ships" status="notrun" result="suppressed" classname="Cart"/>
          </testsuite></testsuites>""",
        (1, 1, 0, 1),
    ),
    "nextest with retries": (
        """<testsuites name="nextest-run" tests="2" failures="1" errors="0"><testsuite name="cart" tests="2"
          disabled="0" errors="0" failures="1"><testcase name="adds"><flakyFailure type="test failure">
          <system-err>x</system-err></flakyFailure></testcase><testcase name="pays">
          <failure type="test failure"/><rerunFailure><system-out>y</system-out></rerunFailure></testcase>
          </testsuite></testsuites>""",
        (1, 1, 0, 0),
    ),
    "a namespace": (
        """<j:testsuites xmlns:j="urn:example:junit"><j:testsuite>
          <j:testcase name="a"><j:failure/></j:testcase><j:testcase name="b"/>
          <j:testcase name="c"><j:skipped/></j:testcase></j:testsuite></j:testsuites>""",
        (1, 1, 0, 1),
    ),
    "cases right under the root": (
        "<testsuites><testcase name='a'/><testcase name='b'><error/></testcase></testsuites>",
        (1, 0, 1, 0),
    ),
    "comments and instructions in odd places": (
        """<?xml version="1.0"?><!-- made by hand --><?style x?><testsuite>
          <!-- <failure/> --><testcase name="a">
          <!-- <failure/> --><?pi <failure/>?></testcase></testsuite><!-- end -->""",
        (1, 0, 0, 0),
    ),
    "a case listed twice": (
        "<testsuite><testcase name='a'><failure/></testcase><testcase name='a'/></testsuite>",
        (1, 1, 0, 0),
    ),
    "a case inside a case": (
        "<testsuite><testcase name='a'><failure/><testcase name='b'/></testcase></testsuite>",
        (1, 1, 0, 0),
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_counted_case_by_case(dialect: str) -> None:
    text, expected = DIALECTS[dialect]
    assert counts(facts(text)) == expected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_encodings_are_read(encoding: str) -> None:
    declared = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    text = f'<?xml version="1.0" encoding="{declared}"?>' + case("<failure/>").replace('"a"', '"é"')
    assert facts(text.encode(encoding)).failures == ("t.A.é",)


def test_the_first_twenty_broken_cases_are_named_on_one_line() -> None:
    cases = "".join(
        f'<testcase classname="t" name="a{n}&#10;b&#x9b;&#x202e;"><failure/></testcase>' for n in range(30)
    )
    found = facts(f"<testsuite>{cases}</testsuite>")
    assert found.failed == 30
    assert found.failures == tuple(f"t.a{n} b" for n in range(20))


def test_a_very_long_name_is_cut() -> None:
    (name,) = facts(case("<failure/>").replace('name="a"', f'name="{"x" * 100_000}"')).failures
    assert len(name) <= 200
    assert name.endswith("…")


class TestWhatIsNotAPass:
    @pytest.mark.parametrize(
        "text",
        [
            "<testsuites/>",
            "<testsuite/>",
            '<testsuite tests="0" failures="0" errors="0"><properties/></testsuite>',
            "<testsuites><testsuite><testsuite/></testsuite></testsuites>",
            case("<skipped/>"),
            "<testsuite><TestCase name='a'/></testsuite>",
        ],
    )
    def test_an_empty_or_skipped_suite_executes_nothing(self, text: str) -> None:
        assert facts(text).executed == 0

    @pytest.mark.parametrize(
        "inside",
        [
            "<failure/>",
            "<error message='setup broke'/>",
            "<testsuite><error/></testsuite>",
            "<system-err/><rerunFailure/>",
            "<teardown><failure/></teardown>",
        ],
    )
    def test_a_failure_that_hangs_on_no_case_is_a_suite_error(self, inside: str) -> None:
        found = facts(f"<testsuites><testsuite><testcase name='a'/>{inside}</testsuite></testsuites>")
        assert (found.passed, found.suite_errors, found.broken) == (1, 1, 1)

    def test_a_failure_hidden_in_another_element_of_the_case_is_found(self) -> None:
        assert facts(case("<details><failure/></details>")).broken == 1

    @pytest.mark.parametrize(
        "attributes",
        [
            'status="-"',
            f'status="passed{" " * 40}not"',
            'status="weird"',
            'result="7"',
            'status="run" result="odd"',
        ],
    )
    def test_a_status_that_nobody_knows_is_no_evidence(self, attributes: str) -> None:
        found = read(case(attributes=attributes))
        assert isinstance(found, Unreadable)
        assert found.code is UnreadableCode.UNKNOWN_FORMAT
        assert "t.A.a" in found.detail

    def test_a_warning_element_may_or_may_not_be_a_failure(self) -> None:
        assert refusal(case("<warning>No tests found</warning>")) is UnreadableCode.UNKNOWN_FORMAT

    def test_an_unknown_status_does_not_hide_a_failure(self) -> None:
        found = facts(
            "<testsuite><testcase name='a' status='odd'/><testcase name='b'><failure/></testcase></testsuite>"
        )
        assert counts(found) == (0, 1, 0, 1)
        assert "how a case ended: a (odd)" in found.declared[0]


class TestHeaders:
    @pytest.mark.parametrize(
        ("header", "suite_errors"),
        [
            ('tests="1" failures="0" errors="0"', 0),
            ('tests="1" failures="1"', 1),
            ('tests="1" errors="2"', 2),
            ('tests="1" failures="1,000"', 1000),
            ('failures="1"', 1),
            ('tests="9"', 0),
            ('failures="" errors=" "', 0),
        ],
    )
    def test_a_declared_failure_that_no_case_shows_is_counted(self, header: str, suite_errors: int) -> None:
        found = facts(
            f'<testsuites {header}><testsuite {header}><testcase name="a"/></testsuite></testsuites>'
        )
        assert found.passed == 1
        assert found.suite_errors == suite_errors

    @pytest.mark.parametrize("value", ["-1", "many", "1.5", "9" * 5000, "NaN", "²"])
    def test_a_header_that_is_no_number_is_reported_and_breaks_nothing(self, value: str) -> None:
        found = facts(f'<testsuite name="s" failures="{value}"><testcase name="a"/></testsuite>')
        assert found.broken == 0
        assert found.declared == ('suite "s" declares failures as something that is not a number',)

    def test_a_header_cannot_take_a_failure_away(self) -> None:
        found = facts(
            '<testsuite name="s" tests="1" failures="0"><testcase name="a"><failure/></testcase></testsuite>'
        )
        assert found.failed == 1
        assert found.declared == ('suite "s" declares failures=0, its cases show 1',)

    @pytest.mark.parametrize("key", ["tests", "failures", "errors", "skipped"])
    def test_one_wrong_number_is_enough_for_a_sentence(self, key: str) -> None:
        right = {"tests": 1, "failures": 0, "errors": 0, "skipped": 0}
        header = " ".join(f'{name}="{count + (name == key)}"' for name, count in right.items())
        found = facts(f'<testsuite name="s" {header}><testcase name="a"/></testsuite>')
        assert found.declared == (f'suite "s" declares {key}={right[key] + 1}, its cases show {right[key]}',)

    def test_every_kind_of_difference_is_a_sentence(self) -> None:
        found = facts(
            '<testsuite tests="5" failures="1" errors="2" skipped="3"><testcase name="a"/></testsuite>'
        )
        assert [sentence.split(" declares ")[1] for sentence in found.declared] == [
            "tests=5, its cases show 1",
            "failures=1, its cases show 0",
            "errors=2, its cases show 0",
            "skipped=3, its cases show 0",
        ]

    def test_a_suite_that_lists_none_of_its_tests_is_an_error_once(self) -> None:
        found = facts(
            '<testsuites tests="3"><testsuite tests="1"><testcase name="a"/></testsuite>'
            '<testsuite tests="2"><testsuite tests="2"/></testsuite></testsuites>'
        )
        assert (found.passed, found.suite_errors) == (1, 1)

    def test_a_suite_whose_tests_are_all_disabled_need_not_list_them(self) -> None:
        found = facts('<testsuites><testsuite tests="2" disabled="1" skipped="1"/></testsuites>')
        assert found.suite_errors == 0

    def test_one_case_with_several_failures_explains_a_header_that_counts_each(self) -> None:
        found = facts(
            '<testsuite tests="1" failures="2" errors="1"><testcase name="a">'
            "<failure/><failure/><error/></testcase></testsuite>"
        )
        assert (found.failed, found.errored, found.suite_errors) == (1, 0, 0)
        assert found.declared == ()

    def test_a_suite_may_leave_out_its_nested_suites(self) -> None:
        found = facts(
            '<testsuite tests="1" failures="0"><testcase name="a"/><testsuite tests="1" failures="1">'
            '<testcase name="b"><failure/></testcase></testsuite></testsuite>'
        )
        assert found.declared == ()

    def test_attempts_explain_declared_failures_only_where_the_header_counts_attempts(self) -> None:
        flaky = '<testcase name="a"><flakyFailure/><flakyFailure/></testcase>'
        attempts = facts(f'<testsuite tests="3" failures="2">{flaky}</testsuite>')
        hidden = facts(f'<testsuite tests="1" failures="1">{flaky}</testsuite>')
        assert (attempts.broken, attempts.flaky) == (0, 1)
        assert (hidden.broken, hidden.flaky) == (1, 1)

    def test_the_sentences_are_bounded(self) -> None:
        found = facts("<testsuites>" + '<testsuite tests="9"><testcase/></testsuite>' * 50 + "</testsuites>")
        assert len(found.declared) == 21
        assert found.declared[-1] == "Further differences are not listed."


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        "text",
        [
            '<!DOCTYPE testsuites [<!ENTITY a "b">]><testsuites><testcase name="&a;"/></testsuites>',
            '<?xml version="1.0"?><!-- x --><!DOCTYPE t SYSTEM "file:///etc/passwd"><testsuite/>',
            '<!DOCTYPE t [<!ENTITY % p SYSTEM "http://localhost/x">%p;]><testsuite/>',
            "<!DOCTYPE testsuite><testsuite><testcase/></testsuite>",
        ],
    )
    def test_a_doctype_is_refused_in_every_encoding(self, text: str) -> None:
        assert refusal(text) is UnreadableCode.FORBIDDEN_MARKUP
        assert refusal(text.encode("utf-16")) is UnreadableCode.FORBIDDEN_MARKUP

    def test_a_billion_laughs_are_not_expanded(self) -> None:
        entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(12))
        text = f'<!DOCTYPE t [{entities}]><testsuite name="&l11;"><testcase>&l11;</testcase></testsuite>'
        tracemalloc.start()
        code = refusal(text)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert code is UnreadableCode.FORBIDDEN_MARKUP
        assert peak < 1_000_000

    @pytest.mark.parametrize(
        "text",
        [
            "<testsuite><testcase name='a'/>",
            "<testsuite><testcase name='a'/></testsuite",
            "<testsuite><testcase name='a'></testsuite>",
            "<testsuite><testcase name='a'/></testsuite><testsuite><testcase/></testsuite>",
            "<testsuite><testcase name='a'/></testsuite>garbage",
            "<testsuite><testcase name='&unknown;'/></testsuite>",
            "<testsuite><testcase name='a\x00'/></testsuite>",
            b"<testsuite><testcase name='\xff\xfe'/></testsuite>",
            "all tests passed",
            "<!-- nothing else -->",
            b"\x7fELF\x00\x01",
        ],
    )
    def test_a_broken_file_is_malformed_and_never_the_part_that_was_read(self, text: str | bytes) -> None:
        assert refusal(text) is UnreadableCode.MALFORMED

    def test_a_file_that_is_cut_anywhere_is_refused(self) -> None:
        text = DIALECTS["surefire"][0]
        inside = text.index("<properties>")
        assert all(isinstance(read(text[:end]), Unreadable) for end in range(inside))
        assert {refusal(text[:end]) for end in range(inside, len(text))} == {UnreadableCode.MALFORMED}

    @pytest.mark.parametrize("text", ["", "  \n\t "])
    def test_an_empty_file_is_empty(self, text: str) -> None:
        assert refusal(text) is UnreadableCode.EMPTY

    @pytest.mark.parametrize(
        "text",
        [
            '<test-run total="1" passed="1" result="Passed"><test-case name="a" result="Passed"/></test-run>',
            '<test-results total="1" failures="0"><test-case success="True"/></test-results>',
            '<assemblies><assembly total="1" passed="1"><test result="Pass"/></assembly></assemblies>',
            '<TestRun xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010"><Results/></TestRun>',
            "<Site><Testing><Test Status='passed'/></Testing></Site>",
            "<html><testsuite><testcase/></testsuite></html>",
            "<testcase name='a'/>",
            "<TestSuites><testcase name='a'/></TestSuites>",
        ],
    )
    def test_another_format_is_not_a_pass_by_accident(self, text: str) -> None:
        assert refusal(text) is UnreadableCode.UNKNOWN_FORMAT


class TestLimits:
    @pytest.mark.parametrize(
        ("text", "limits", "code"),
        [
            (case(), ReadLimits(max_bytes=20), UnreadableCode.TOO_LARGE),
            (case() + " " * 200_000, ReadLimits(max_bytes=150_000), UnreadableCode.TOO_LARGE),
            (
                "<testsuite>" + "<testcase/>" * 11 + "</testsuite>",
                ReadLimits(max_items=10),
                UnreadableCode.TOO_MANY,
            ),
            (
                "<testsuites>" + "<testsuite/>" * 11 + "</testsuites>",
                ReadLimits(max_items=10),
                UnreadableCode.TOO_MANY,
            ),
            ("<testsuite>" * 9 + "</testsuite>" * 9, ReadLimits(max_depth=8), UnreadableCode.TOO_DEEP),
            (
                "<testsuite>" + "<a>" * 300 + "</a>" * 300 + "</testsuite>",
                ReadLimits(),
                UnreadableCode.TOO_DEEP,
            ),
            (" " * 2_000_000 + "<testsuite/>", ReadLimits(), UnreadableCode.TOO_LARGE),
            ("<!-- " + "x" * 2_000_000 + " --><testsuite/>", ReadLimits(), UnreadableCode.TOO_LARGE),
            (
                f"<testsuite><system-out>{'x' * 11_000_000}</system-out></testsuite>",
                ReadLimits(),
                UnreadableCode.TOO_LARGE,
            ),
            (case(), ReadLimits(max_seconds=-1), UnreadableCode.TOO_SLOW),
        ],
        ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
    )
    def test_each_bound_has_its_own_code(self, text: str, limits: ReadLimits, code: UnreadableCode) -> None:
        assert refusal(text, limits) is code

    def test_a_report_at_its_bounds_is_read(self) -> None:
        text = "<testsuite>" * 8 + "<testcase/>" * 2 + "</testsuite>" * 8
        found = read(text, ReadLimits(max_bytes=len(text), max_items=10, max_depth=9))
        assert isinstance(found, SuiteFacts)
        assert found.passed == 2

    def test_bytes_are_counted_while_reading_not_asked_for(self) -> None:
        endless = _Endless(b"<testsuite>")
        found = read_junit(endless, ReadLimits(max_bytes=500_000))
        assert isinstance(found, Unreadable)
        assert found.code is UnreadableCode.TOO_LARGE
        assert endless.given < 700_000

    def test_small_reads_change_nothing(self) -> None:
        for text, expected in DIALECTS.values():
            found = read_junit(_Dripping(text.encode()))
            assert isinstance(found, SuiteFacts)
            assert counts(found) == expected

    @pytest.mark.parametrize(
        ("head", "body", "expected"),
        [
            ("<testsuite>", "<testcase><failure>x</failure></testcase>", 1),
            ("<testsuite><testcase><failure/>", "<a>text</a>", 0),
            ("<testsuite><testcase>", "<failure>x</failure>", 0),
        ],
    )
    def test_verdicts_survive_the_pruning_between_chunks(self, head: str, body: str, expected: int) -> None:
        times = 400_000 // len(body)
        tail = "</testcase></testsuite>" if "<testcase>" in head else "</testsuite>"
        found = facts(head + body * times + tail)
        assert found.failed == (times if expected else 1)
        assert (found.passed, found.suite_errors) == (0, 0)


@pytest.mark.parametrize("inner", ["", "testcase", "properties"])
def test_the_tree_does_not_grow_and_open_elements_stay_in_it(inner: str) -> None:
    opened, closed = (f"<{inner}>", f"</{inner}>") if inner else ("", "")
    text = f"<testsuite>{opened}{'<a x="1"/>' * 60_000}{closed}</testsuite>"
    stream = XmlStream(io.BytesIO(text.encode()), ReadLimits())
    root: etree._Element | None = None
    sizes = []
    for batch in stream.batches(["{*}testsuite"]):
        root = batch[0][1] if root is None else root
        sizes.append(sum(1 for _ in root.iter()))
    assert len(sizes) > 5
    assert max(sizes) < 60_000 / 5
    assert min(sizes) > 1


class _Endless(io.BytesIO):
    """A report that never ends, in short reads."""

    given = 0

    def read(self, size: int | None = -1) -> bytes:
        answer = super().read(size) or b"<testcase/>" * 1000
        self.given += len(answer)
        return answer


class _Dripping(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(3, size or 3))


class TestMerging:
    def test_nothing_merged_executes_nothing(self) -> None:
        assert merge_suites([]) == SuiteFacts()

    def test_counts_add_up_and_lists_stay_bounded(self) -> None:
        part = facts(
            "<testsuites>"
            + '<testsuite tests="9"><testcase name="a"><failure/></testcase><testcase><error/></testcase>'
            "<testcase><skipped/></testcase><testcase><flakyError/></testcase><error/></testsuite>"
            * 15
            + "</testsuites>"
        )
        merged = merge_suites([part, part, SuiteFacts(passed=1)])
        assert counts(merged) == (31, 30, 30, 30)
        assert (merged.suite_errors, merged.flaky) == (30, 30)
        assert len(merged.failures) == 20
        assert len(merged.declared) == 21
        assert merged.declared.count("Further differences are not listed.") == 1

    def test_a_broken_part_breaks_the_whole(self) -> None:
        merged = merge_suites([facts(case()), facts(case("<failure/>"))])
        assert (merged.executed, merged.broken) == (2, 1)


def _expectations() -> list[dict[str, str]]:
    try:
        text = (CORPUS / "expected.jsonl").read_text("utf-8")
    except OSError:
        return []
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of public reports is not on this machine")
def test_the_public_corpus_is_read_as_expected() -> None:
    wrong = []
    for entry in _expectations():
        with (CORPUS / entry["file"]).open("rb") as source:
            found = read_junit(source)
        match found:
            case Unreadable():
                got = ["FAIL (no usable evidence)"]
            case SuiteFacts():
                verdict = "pass" if found.executed and not found.broken else "FAIL"
                numbers = (sum(counts(found)), found.failed, found.errored, found.skipped)
                got = [verdict, *map(str, numbers)]
        keys = ("all_passed", "cases", "fail", "err", "skip")
        if got != [entry[key] for key in keys][: len(got)]:
            wrong.append((entry["file"], got))
    assert wrong == []
