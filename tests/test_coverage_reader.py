"""Coverage reports: what is counted, what is refused, and what the public corpus makes of it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from omoi_os.domain.evidence import CoverageFacts, FileCoverage, Unreadable, UnreadableCode
from omoi_os.evidence.coverage import merge_coverage, read_coverage
from omoi_os.evidence.limits import MIB, ReadLimits

CORPUS = Path(__file__).parents[1].parent / "shared" / "corpus" / "coverage"

COBERTURA_DOCTYPE = '<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">'
JACOCO_DOCTYPE = '<!DOCTYPE report PUBLIC "-//JACOCO//DTD Report 1.1//EN" "report.dtd">'


def facts(report: str | bytes, limits: ReadLimits | None = None) -> CoverageFacts:
    result = read(report, limits)
    assert isinstance(result, CoverageFacts), result
    return result


def refused(report: str | bytes, limits: ReadLimits | None = None) -> Unreadable:
    result = read(report, limits)
    assert isinstance(result, Unreadable), result
    assert result.detail
    assert result.fix.endswith(".")
    return result


def read(report: str | bytes, limits: ReadLimits | None = None) -> CoverageFacts | Unreadable:
    content = report.encode() if isinstance(report, str) else report
    return read_coverage(io.BytesIO(content), limits or ReadLimits())


def lines_xml(*lines: tuple[object, object]) -> str:
    return "".join(f'<line number="{number}" hits="{hits}"/>' for number, hits in lines)


def klass(filename: str, lines: str, methods: str = "") -> str:
    return f'<class name="K" filename="{filename}"><methods>{methods}</methods><lines>{lines}</lines></class>'


def cobertura(*classes: str, rate: str | None = None, prolog: str = "", sources: int = 1) -> str:
    header = f' line-rate="{rate}"' if rate is not None else ""
    roots = "".join(f"<source>/root{n}</source>" for n in range(sources))
    packages = "".join(
        f'<package name="p{n}"><classes>{c}</classes></package>' for n, c in enumerate(classes)
    )
    return f"{prolog}<coverage{header}><sources>{roots}</sources><packages>{packages}</packages></coverage>"


def jacoco(body: str) -> str:
    return f'<?xml version="1.0"?>{JACOCO_DOCTYPE}<report name="r"><sessioninfo id="s"/>{body}</report>'


def clover(lines: str, metrics: str = "") -> str:
    head = '<coverage generated="1"><project timestamp="1">'
    return f'{head}{metrics}<file name="a.js" path="/src/a.js">{lines}</file></project></coverage>'


def coverage_py(files: dict[str, object], percent: object = 50.0, *, branches: bool = False) -> str:
    return json.dumps(
        {
            "meta": {"format": 3, "version": "7.6", "branch_coverage": branches},
            "files": files,
            "totals": {"covered_lines": 1, "num_statements": 2, "percent_covered": percent},
        }
    )


def python_file(executed: list[object], missing: list[object]) -> dict[str, object]:
    return {"executed_lines": executed, "missing_lines": missing, "excluded_lines": [], "summary": {}}


def gcovr(*lines: dict[str, object], version: object = "0.11") -> str:
    return json.dumps({"gcovr/format_version": version, "files": [{"file": "a.cpp", "lines": list(lines)}]})


LCOV = "TN:\nSF:a.c\nFN:1,main\nFNDA:1,main\nDA:1,5\nDA:2,0\nBRDA:1,0,0,-\nLF:2\nLH:1\nend_of_record\n"

HALF: dict[str, str] = {
    "cobertura": cobertura(klass("a.py", lines_xml((1, 5), (2, 0))), rate="0.5"),
    "jacoco": jacoco(
        '<package name="p"><sourcefile name="A.java"><line nr="1" mi="0" ci="4"/><line nr="2" mi="3" ci="0"/>'
        '</sourcefile></package><counter type="LINE" missed="1" covered="1"/>'
    ),
    "clover": clover(
        '<line num="1" type="stmt" count="5"/><line num="2" type="stmt" count="0"/>',
        '<metrics statements="2" coveredstatements="1"/>',
    ),
    "lcov": LCOV,
    "coverage.py": coverage_py({"a.py": python_file([1], [2])}),
    "gcovr": gcovr({"line_number": 1, "count": 5}, {"line_number": 2, "count": 0}),
}


@pytest.mark.parametrize("form", HALF)
def test_each_format_is_told_from_its_content_and_counted_from_its_lines(form: str) -> None:
    found = facts(HALF[form])
    assert (found.format, found.covered, found.total) == (form, 1, 2)
    assert found.declared_percent == (None if form == "gcovr" else 50)
    assert found.declared == ()


@pytest.mark.parametrize("form", HALF)
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(form: str) -> None:
    report = b"\xef\xbb\xbf" + HALF[form].replace("\n", "\r\n").encode()
    assert facts(report).files == facts(HALF[form]).files


@pytest.mark.parametrize("form", HALF)
def test_a_truncated_report_is_never_measured(form: str) -> None:
    whole = HALF[form].rstrip()
    for end in range(len(whole)):
        refused(whole[:end])


@pytest.mark.parametrize("form", HALF)
def test_a_stream_that_hands_out_single_bytes_is_read_alike(form: str) -> None:
    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(1, size or 0))

    assert read_coverage(Trickle(HALF[form].encode())) == facts(HALF[form])


# --- Cobertura ---


def test_a_line_of_a_class_and_of_its_method_is_one_line() -> None:
    lines = lines_xml((1, 1), (2, 0))
    found = facts(cobertura(klass("a.cs", lines, f'<method name="m"><lines>{lines}</lines></method>')))
    assert (found.covered, found.total) == (1, 2)


def test_a_file_of_two_classes_is_one_file_and_one_run_is_a_run() -> None:
    one, two = lines_xml((1, 1), (2, 0)), lines_xml((1, 0), (3, 0))
    found = facts(cobertura(klass("a.cs", one) + klass("b.cs", one) + klass("a.cs", two)))
    assert [(file.path, file.covered, file.total) for file in found.files] == [("a.cs", 1, 3), ("b.cs", 1, 2)]


def test_the_class_decides_where_its_method_says_otherwise() -> None:
    method = f'<method name="m"><lines>{lines_xml((1, 9), (2, 9))}</lines></method>'
    assert facts(cobertura(klass("a.cs", lines_xml((1, 0), (2, 0)), method))).covered == 0


def test_a_line_that_only_a_method_lists_counts() -> None:
    methods = f'<method name="m"><lines>{lines_xml((5, 0), (16, 1))}</lines></method>'
    found = facts(cobertura(klass("first.swift", "", methods)))
    assert (found.covered, found.total) == (1, 2)


def test_two_files_of_one_name_below_two_roots_do_not_lend_each_other_runs() -> None:
    classes = klass("app.py", lines_xml((1, 1), (2, 0))), klass("app.py", lines_xml((1, 0), (2, 1)))
    apart = facts(cobertura(*classes, sources=2))
    assert (apart.covered, apart.total) == (2, 4)
    assert {file.path for file in apart.files} == {"app.py (in p0)", "app.py (in p1)"}
    assert facts(cobertura(*classes)).covered == 2


@pytest.mark.parametrize(
    ("number", "hits"),
    [
        ("1", "-1"),
        ("1", "NaN"),
        ("1", "1e9"),
        ("1", "1.0"),
        ("1", ""),
        ("1", " 1"),
        ("1", "+1"),
        ("1", "1_0"),
        ("1", "\u0661"),
        ("1", "9" * 21),
        ("1", "true"),
        ("0", "1"),
        ("-1", "1"),
        ("1.5", "1"),
        ("x", "1"),
        ("", "1"),
        ("99999999999", "1"),
        ("9" * 5000, "1"),
    ],
)
def test_a_line_that_is_no_number_and_count_is_malformed(number: str, hits: str) -> None:
    report = cobertura(klass("a.py", lines_xml((1, 1), (number, hits), (3, 1))))
    assert refused(report).code is UnreadableCode.MALFORMED


@pytest.mark.parametrize(
    "report",
    [
        cobertura(klass("a.py", '<line number="1"/>')),
        cobertura(klass("a.py", '<line hits="1"/>')),
        cobertura(klass("a.py", lines_xml((1, 1)) + '<line number="1"/>')),
        cobertura(klass("", lines_xml((1, 1)))),
        cobertura('<class name="K"><lines><line number="1" hits="1"/></lines></class>'),
        cobertura(lines_xml((1, 1))),
        cobertura(klass("a.py", lines_xml((1, 1))) + lines_xml((1, 1))),
    ],
)
def test_a_line_without_its_attributes_or_its_file_is_malformed(report: str) -> None:
    assert refused(report).code is UnreadableCode.MALFORMED


@pytest.mark.parametrize(
    "rate", ["NaN", "-0.1", "1.01", "85", "999", "inf", "1e999", "", "0,8", "1_0", "\u0660"]
)
def test_a_header_that_is_no_share_is_malformed(rate: str) -> None:
    assert refused(cobertura(klass("a.py", lines_xml((1, 1))), rate=rate)).code is UnreadableCode.MALFORMED


@pytest.mark.parametrize("rate", ["1", "1.0", "0.90909090909091", "1E-05", "0"])
def test_a_header_is_compared_and_never_believed(rate: str) -> None:
    found = facts(cobertura(klass("a.py", lines_xml(*[(n, 1) for n in range(1, 10)], (10, 0))), rate=rate))
    assert (found.covered, found.total) == (9, 10)
    assert found.declared_percent == pytest.approx(float(rate) * 100)
    assert found.declared_as == "line-rate"
    assert bool(found.declared) is (abs(float(rate) - 0.9) > 0.0101)


def test_a_wrong_header_is_named_in_a_sentence() -> None:
    found = facts(cobertura(klass("a.py", lines_xml((1, 1), (2, 0))), rate="0.8792"))
    assert found.declared == ("line-rate says 87.92 %, the lines add up to 50.00 %",)


# --- JaCoCo, Clover ---


def test_jacoco_keeps_the_same_class_of_two_modules_apart() -> None:
    module = '<group name="{}"><package name="p"><sourcefile name="A.java">{}</sourcefile></package></group>'
    run, missed = '<line nr="1" mi="0" ci="1"/>', '<line nr="1" mi="1" ci="0"/>'
    found = facts(jacoco(module.format("one", run) + module.format("two", missed)))
    assert (found.covered, found.total) == (1, 2)


@pytest.mark.parametrize(
    "line",
    [
        '<line nr="1" ci="1"/>',
        '<line nr="1" mi="-1" ci="1"/>',
        '<line nr="1" mi="0"/>',
        '<line mi="0" ci="1"/>',
    ],
)
def test_a_jacoco_line_without_its_counts_is_malformed(line: str) -> None:
    lines = f'<line nr="2" mi="0" ci="1"/>{line}'
    body = f'<package name="p"><sourcefile name="A.java">{lines}</sourcefile></package>'
    assert refused(jacoco(body)).code is UnreadableCode.MALFORMED


def test_jacoco_counters_without_lines_are_no_measure() -> None:
    counter = '<counter type="LINE" missed="1" covered="99"/>'
    found = refused(jacoco(f'<package name="p"><sourcefile name="A.java"/></package>{counter}'))
    assert found.code is UnreadableCode.EMPTY
    assert "totals alone are not believed" in found.detail


def test_clover_counts_statements_and_conditions_and_not_methods() -> None:
    found = facts(
        clover(
            '<line num="1" type="method" count="1"/><line num="2" type="stmt" count="1"/>'
            '<line num="3" type="cond" truecount="0" falsecount="2"/><line num="4" type="cond" count="1"/>'
        )
    )
    assert (found.covered, found.total) == (2, 3)


@pytest.mark.parametrize(
    "line",
    [
        '<line num="1" count="1"/>',
        '<line num="1" type="magic" count="1"/>',
        '<line num="1" type="stmt"/>',
        '<line num="1" type="cond"/>',
        '<line num="1" type="cond" truecount="-1"/>',
        '<line type="stmt" count="1"/>',
    ],
)
def test_a_clover_line_without_type_or_count_is_malformed(line: str) -> None:
    assert refused(clover(f'<line num="2" type="stmt" count="1"/>{line}')).code is UnreadableCode.MALFORMED


def test_clover_coverage_of_the_tests_themselves_does_not_count() -> None:
    tests = '<testproject><file name="t.js"><line num="1" type="stmt" count="1"/></file></testproject>'
    report = HALF["clover"].replace("</coverage>", f"{tests}</coverage>")
    assert (facts(report).covered, facts(report).total) == (1, 2)


@pytest.mark.parametrize("counts", [(1, 2), (5, -1), ("x", 1)])
def test_a_clover_header_with_more_covered_than_there_is_is_malformed(counts: tuple[object, object]) -> None:
    metrics = f'<metrics statements="{counts[0]}" coveredstatements="{counts[1]}"/>'
    report = clover('<line num="2" type="stmt" count="1"/>', metrics)
    assert refused(report).code is UnreadableCode.MALFORMED


# --- lcov ---


@pytest.mark.parametrize(
    "line",
    [
        "DA:3,-1",
        "DA:3,1e9",
        "DA:3,NaN",
        "DA:3",
        "DA:3,",
        "DA:,3",
        "DA:",
        "DA:0,1",
        "DA:-3,1",
        "DA:3.0,1",
        "DA:3,=",
        "DA:99999999999,1",
        f"DA:3,{'9' * 21}",
        "DA:3,1,a,b",
        "DA:3,4,5,6\nDA:7",
        "D1A:3,1",
        "DB:3,0",
        "LF:x",
        "LH:-1",
        "LH:9",
        "SF:b.c",
        "SF:",
        "hello",
    ],
)
def test_an_lcov_line_that_is_none_is_malformed(line: str) -> None:
    assert refused(LCOV.replace("DA:2,0\n", f"DA:2,0\n{line}\n")).code is UnreadableCode.MALFORMED
    assert refused(LCOV.replace("DA:2,0\n", f"{line}\n")).code is UnreadableCode.MALFORMED


@pytest.mark.parametrize("digest", ["61c88453392c74ecd94f0057a8aedc7d", "YMjEUzkscezNlPAFeo7c", "abc"])
def test_checksums_behind_the_hits_are_skipped(digest: str) -> None:
    assert facts(LCOV.replace("DA:1,5", f"DA:1,5,{digest}").replace("DA:2,0", f"DA:2,0,{digest}")) == facts(
        LCOV
    )


@pytest.mark.parametrize(
    "line",
    [
        "DA:3,4,abc,DA:5,6,abc",
        "DA:3,4,a b",
        "DA:3,4,a:b",
        "DA:3,1e1,abc",
        "DA:0,4,abc",
        "xDA:3,4,abc",
        "DA:3",
    ],
)
def test_only_pairs_with_a_checksum_are_lines(line: str) -> None:
    report = "SF:a.c\nDA:1,5,abc\nFNDA:3,4,abc\nDA:2,0,abc\nend_of_record\n"
    assert facts(report).files == facts(LCOV).files
    assert refused(report.replace("FNDA:3,4,abc", line)).code is UnreadableCode.MALFORMED


@pytest.mark.parametrize("digest", ["", ",YMjEUzkscezNlPAFeo7c"])
def test_other_keys_between_the_lines_of_a_file_change_nothing(digest: str) -> None:
    lines = [f"DA:{number},{number % 3}{digest}" for number in range(1, 400)]
    straight = facts("\n".join(["SF:a.c", *lines, "end_of_record", ""]))
    mixed = "\nBRDA:1,0,0,1\n".join(["SF:a.c", *lines, "end_of_record", ""])
    assert facts(mixed) == straight
    assert facts(mixed.replace("\n", "\r\n")) == straight


def test_a_carriage_return_inside_a_number_is_malformed() -> None:
    assert refused(LCOV.replace("DA:1,5", "DA:1,5\r7")).code is UnreadableCode.MALFORMED


def test_an_lcov_line_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    found = refused(LCOV + "#" * 300_000 + "\n" + LCOV)
    assert "longer than 64 KiB" in found.detail


def test_a_line_0_is_malformed_in_the_middle_of_a_run_too() -> None:
    assert refused(LCOV.replace("DA:1,5", "DA:0,5")).code is UnreadableCode.MALFORMED


def test_lcov_lines_outside_of_a_record_are_malformed() -> None:
    assert refused("TN:\nDA:1,1\n").code is UnreadableCode.MALFORMED
    assert refused(LCOV + "DA:1,1\n").code is UnreadableCode.MALFORMED
    assert refused(LCOV + "end_of_record\n").code is UnreadableCode.MALFORMED


def test_an_lcov_file_of_two_tests_is_one_file_in_any_order_of_lines() -> None:
    again = "SF:a.c\nDA:900,0\nDA:2,1\nDA:1,0\nend_of_record\n"
    found = facts(LCOV + again)
    assert [(file.path, file.covered, file.total) for file in found.files] == [("a.c", 2, 3)]


def test_an_lcov_report_is_read_alike_wherever_its_chunks_end() -> None:
    for padding in range(30, 140):
        found = facts("TN:\n" + "#\n" * 32_700 + "#" * padding + "\n" + LCOV)
        assert (found.covered, found.total) == (1, 2)


# --- JSON ---


def test_coverage_py_says_that_its_percentage_mixes_branches_in() -> None:
    found = facts(coverage_py({"a.py": python_file([1], [2])}, 41.7, branches=True))
    assert (found.declared_percent, found.declared_as) == (41.7, "percent_covered with branches")
    assert found.declared == ()


def test_the_executed_line_0_of_an_empty_python_file_is_no_line() -> None:
    found = facts(coverage_py({"a.py": python_file([1], [2]), "__init__.py": python_file([0], [])}))
    assert (found.covered, found.total, len(found.files)) == (1, 2, 2)


@pytest.mark.parametrize(
    "file",
    [
        python_file([1, 2], [2]),
        python_file([-1], [2]),
        python_file([0], [2]),
        python_file([1.5], [2]),
        python_file(["1"], [2]),
        python_file([True], [2]),
        python_file([1], [10**30]),
        {"executed_lines": [1]},
        {"executed_lines": [1], "missing_lines": None},
        [1],
        None,
    ],
)
def test_a_python_file_with_broken_lists_is_malformed(file: object) -> None:
    assert refused(coverage_py({"a.py": file})).code is UnreadableCode.MALFORMED


@pytest.mark.parametrize("percent", [-1, 101, "85", None, True, float("nan"), 10**400])
def test_a_python_total_that_is_no_percentage_is_malformed(percent: object) -> None:
    assert refused(coverage_py({"a.py": python_file([1], [2])}, percent)).code is UnreadableCode.MALFORMED


@pytest.mark.parametrize(
    "line",
    [
        {"line_number": 1, "count": -1},
        {"line_number": 1, "count": 1e9},
        {"line_number": 1},
        {"count": 1},
        {"line_number": 0, "count": 1},
        {"line_number": 1, "count": "1"},
        {"line_number": 1, "count": True},
    ],
)
def test_a_gcovr_line_that_is_none_is_malformed(line: dict[str, object]) -> None:
    assert refused(gcovr({"line_number": 2, "count": 1}, line)).code is UnreadableCode.MALFORMED


@pytest.mark.parametrize("version", ["0.1", "0.5", "0.15", 0.1])
def test_gcovr_versions_are_read_and_excluded_lines_are_left_out(version: object) -> None:
    found = facts(
        gcovr(
            {"line_number": 1, "count": 1},
            {"line_number": 1, "count": 0, "function_name": "another"},
            {"line_number": 2, "count": 0},
            {"line_number": 3, "count": 0, "gcovr/excluded": True},
            {"line_number": 4, "count": 0, "gcovr/noncode": True},
            version=version,
        )
    )
    assert (found.covered, found.total) == (1, 2)


def test_an_unknown_gcovr_version_is_an_unknown_format() -> None:
    report = gcovr({"line_number": 1, "count": 1}, version="2.0")
    assert refused(report).code is UnreadableCode.UNKNOWN_FORMAT


# --- Nothing, something else, and attacks ---

NO_LINES = {
    "nothing": "",
    "blanks": " \n\t ",
    "cobertura": cobertura(klass("a.py", ""), rate="0.99"),
    "jacoco": jacoco("<package name='p'/>"),
    "clover": clover("", '<metrics statements="10" coveredstatements="10"/>'),
    "clover methods": clover('<line num="1" type="method" count="1"/>'),
    "lcov": "SF:a.c\nLF:10\nLH:10\nend_of_record\n",
    "coverage.py": coverage_py({}, 100.0),
    "gcovr": gcovr(),
    "gcovr summary": '{"gcovr/summary_format_version": "0.6", "line_percent": 99, "files": []}',
}


@pytest.mark.parametrize("name", NO_LINES)
def test_a_report_without_lines_is_empty_whatever_its_header_says(name: str) -> None:
    assert refused(NO_LINES[name]).code is UnreadableCode.EMPTY


@pytest.mark.parametrize(
    "report",
    [
        "percentage: 85",
        '{"percentage": 85}',
        '{"total": {"lines": {"pct": 100}}}',
        '<testsuite tests="1"><testcase name="a"/></testsuite>',
        '<coverage version="1"><file path="a"><lineToCover lineNumber="1" covered="true"/></file></coverage>',
        '<coverage line-rate="1.0"/>',
        '<c:coverage xmlns:c="urn:x"><c:packages/></c:coverage>',
        "<html><body>100%</body></html>",
    ],
)
def test_an_unknown_format_is_answered_with_the_known_ones(report: str) -> None:
    found = refused(report)
    assert found.code is UnreadableCode.UNKNOWN_FORMAT
    assert all(
        name in found.fix for name in ("Cobertura", "lcov", "JaCoCo", "Clover", "coverage.py", "gcovr")
    )


@pytest.mark.parametrize(
    "doctype", [COBERTURA_DOCTYPE, "<!DOCTYPE coverage\n  SYSTEM 'a[b>c.dtd'>\n<!-- x -->"]
)
def test_a_doctype_that_only_names_its_dtd_is_allowed_and_never_fetched(doctype: str) -> None:
    report = cobertura(
        klass("a.py", lines_xml((1, 1))), prolog=f'<?xml version="1.0"?>\n<!-- a -->{doctype}\n'
    )
    assert facts(report).covered == 1


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "doctype",
    [
        f'<!DOCTYPE coverage [<!ENTITY l0 "lol">{LAUGHS}]>',
        '<!DOCTYPE coverage SYSTEM "x.dtd" [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        "<!DOCTYPE coverage []>",
        "<!DOCTYPE coverage [ <!-- ' --> ]>",
        '<!DOCTYPE coverage SYSTEM "x.dtd" "',
    ],
)
def test_declarations_inside_a_doctype_are_forbidden(doctype: str) -> None:
    report = cobertura(klass("a.py", lines_xml((1, 1))), prolog=f'<?xml version="1.0"?><!--x-->{doctype}')
    assert refused(report).code is UnreadableCode.FORBIDDEN_MARKUP


@pytest.mark.parametrize("hits", ["&one;", "&#49;&#45;"])
def test_an_entity_in_a_count_is_never_a_count(hits: str) -> None:
    report = cobertura(klass("a.py", lines_xml((1, hits))), prolog=COBERTURA_DOCTYPE)
    assert refused(report).code is UnreadableCode.MALFORMED


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_report_in_wide_characters_is_not_text(encoding: str) -> None:
    assert refused(HALF["cobertura"].encode(encoding)).code is UnreadableCode.NOT_TEXT


def test_an_encoding_that_could_hide_a_doctype_is_refused() -> None:
    report = cobertura(klass("a.py", lines_xml((1, 1))), prolog='<?xml version="1.0" encoding="UTF-7"?>')
    assert refused(report).code is UnreadableCode.NOT_TEXT


@pytest.mark.parametrize(
    "report",
    [
        "<coverage><packages>" + "<package>" * 100_000,
        '{"meta": {}, "files": {}, "x": ' + "[" * 1_000_000,
        '{"meta": {}, "files": ' + '{"a":' * 1_000_000,
    ],
)
def test_a_report_that_is_nested_too_deeply_is_refused(report: str) -> None:
    assert refused(report).code is UnreadableCode.TOO_DEEP


def test_the_limit_of_depth_is_the_reader_s_own_and_not_the_parser_s() -> None:
    nested = "<condition>" * 20 + "</condition>" * 20
    report = cobertura(klass("a.py", f'<line number="1" hits="1">{nested}</line>'))
    assert refused(report, ReadLimits(max_depth=26)).code is UnreadableCode.TOO_DEEP
    assert facts(report, ReadLimits(max_depth=27)).covered == 1


@pytest.mark.parametrize("form", HALF)
def test_a_report_above_the_limit_of_bytes_is_refused(form: str) -> None:
    limits = ReadLimits(max_bytes=len(HALF[form].encode()) - 1)
    assert refused(HALF[form], limits).code is UnreadableCode.TOO_LARGE
    facts(HALF[form], ReadLimits(max_bytes=limits.max_bytes + 1))


@pytest.mark.parametrize("form", HALF)
def test_a_report_above_the_limit_of_items_or_seconds_is_refused(form: str) -> None:
    assert refused(HALF[form], ReadLimits(max_items=1)).code is UnreadableCode.TOO_MANY
    assert refused(HALF[form], ReadLimits(max_seconds=-1)).code is UnreadableCode.TOO_SLOW


def test_line_numbers_that_span_more_than_memory_are_refused() -> None:
    classes = "".join(klass(f"{n}.py", lines_xml((9_999_999, 1))) for n in range(10))
    assert refused(cobertura(classes)).code is UnreadableCode.TOO_MANY


def test_json_is_not_kept_beyond_its_own_limit() -> None:
    report = b'{"meta": {}, "x": "' + b"x" * (64 * MIB)
    assert refused(report).code is UnreadableCode.TOO_LARGE


# --- Merging ---


def test_merged_reports_count_each_line_once_and_any_run() -> None:
    one = facts(cobertura(klass("a.py", lines_xml((1, 1), (2, 0), (3, 0))), rate="0.9"))
    two = facts("SF:a.py\nDA:1,1\nDA:2,4\nDA:70,0\nend_of_record\nSF:b.py\nDA:1,0\nend_of_record\n")
    merged = merge_coverage([one, two])
    assert merged.format == "cobertura + lcov"
    assert [(file.path, file.covered, file.total) for file in merged.files] == [
        ("a.py", 2, 4),
        ("b.py", 0, 1),
    ]
    assert (merged.declared_percent, merged.declared_as) == (90.0, "line-rate")  # the doubtful header stays
    assert merged.declared == one.declared != ()


def test_merging_one_report_or_the_same_twice_changes_no_count() -> None:
    one = facts(LCOV)
    assert merge_coverage([one]) is one
    assert merge_coverage([one, one]).files == one.files
    assert merge_coverage([]).total == 0


def test_merging_bare_counts_takes_what_is_certain() -> None:
    parts = [CoverageFacts("x", (FileCoverage("a", covered, 10),)) for covered in (8, 6)]
    (file,) = merge_coverage(parts).files
    assert (file.covered, file.total) == (8, 14)


# --- The public corpus ---


def expectations() -> list[dict[str, str]]:
    table = CORPUS / "expected.jsonl"
    return [json.loads(line) for line in table.read_text().splitlines()] if table.is_file() else []


# Argued in benchmarks/corpus_coverage.md.
ARGUED = {
    "ReportGenerator__docs_resources_reports_Clover_Clover.xml": 73.08,
    "ReportGenerator__src_Testprojects_Other_Cobertura_Swift.xml": 50.0,
}


@pytest.mark.skipif(not expectations(), reason="the corpus of public reports is not beside this checkout")
def test_no_public_report_is_wrongly_at_80_percent() -> None:
    for row in expectations():
        found = facts((CORPUS / row["file"]).read_bytes())
        percent = found.covered / found.total * 100
        expected = ARGUED.get(row["file"]) or float(row["recomputed line %"])
        assert percent == pytest.approx(expected, abs=0.006), row["file"]
        declared = percent if found.declared_percent is None else found.declared_percent
        assert (min(percent, declared) >= 80) is (row["min80"] == "pass"), row["file"]
