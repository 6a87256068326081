"""Contents of artifacts and results of tasks in shapes that no reader expects."""

from __future__ import annotations

from typing import Any, Final

LAUGHS: Final = (
    '<!DOCTYPE a [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]><testsuite>&a9;</testsuite>"
).replace("&a0;", "&a;")
OUTSIDE: Final = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><testsuite name="&b;" tests="1"/>'

CONTENTS: Final[dict[str, dict[str, Any]]] = {
    "a content that is a number": {"content": 7},
    "a content that is null": {"content": None},
    "a content that is a list": {"content": ["# Scope"]},
    "an empty content": {"content": ""},
    "a content that nobody sees": {"content": "\u200b" * 1000},
    "a content of turned lines": {"content": "\u202e# Scope\n" * 100},
    "a content of one heading": {"content": "#" * 200_000},
    "a content of headings only": {"content": "# Scope\n" * 20_000},
    "quotes in quotes": {"content": "> " * 20_000 + "a"},
    "lists in lists": {"content": "\n".join(" " * n + "- a" for n in range(2000))},
    "links in links": {"content": "[" * 50_000 + "](a)" * 50_000},
    "a report that is a number": {"report": 7},
    "an empty report": {"report": ""},
    "a report of control characters": {"report": "\x01\x02\x7f" * 100},
    "XML that breaks off": {"report": "<testsuites><testsuite"},
    "XML that laughs": {"report": LAUGHS},
    "XML that reads a file": {"report": OUTSIDE},
    "XML of great depth": {"report": "<a>" * 20_000 + "</a>" * 20_000},
    "XML with a huge attribute": {"report": f'<testsuite name="{"x" * 500_000}"/>'},
    "XML in another encoding": {"report": '<?xml version="1.0" encoding="utf-16"?><testsuite tests="1"/>'},
    "a suite of less than no tests": {"report": '<testsuite tests="-1" failures="-2"/>'},
    "a suite of endless tests": {"report": '<testsuite tests="1e999" time="NaN" failures="0"/>'},
    "JSON of great depth": {"report": "[" * 100_000},
    "JSON that is no report": {"report": '{"totals": {"percent_covered": "100"}, "files": 7}'},
    "coverage of a number that is none": {
        "report": '<coverage line-rate="NaN" lines-valid="1e999" lines-covered="-1"/>'
    },
    "coverage of huge numbers": {
        "report": f"SF:a\nDA:1,{'9' * 5000}\nLF:{'9' * 5000}\nLH:0\nend_of_record\n"
    },
    "coverage of no lines": {"report": "SF:a\nLF:0\nLH:0\nend_of_record\n"},
    "coverage of a long name": {"report": f"SF:{'x' * 200_000}\nDA:1,1\nend_of_record\n"},
    "a diff that is a number": {"diff": 7},
    "a diff of huge numbers": {
        "diff": f"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,{'9' * 30} +1 @@\n+a\n",
    },
    "a diff that breaks off": {"diff": "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,5 +1,9 @@\n+a\n"},
    "a diff of a file outside": {"diff": "--- a/../../etc/a.py\n+++ b/../../etc/a.py\n@@ -0,0 +1 @@\n+a\n"},
    "a share that is a text": {"percentage": "85"},
    "a share that is no number": {"percentage": "NaN"},
    "a huge share": {"percentage": 1e308},
    "a negative share": {"percentage": -0.0},
    "a share that is true": {"percentage": True},
    "a claim that is a text": {"all_passed": "true", "has_tests": "yes"},
    "a claim that is a number": {"all_passed": 1, "length": 2**63 - 1},
    "a claim that is an object": {"all_passed": {}, "has_tests": [], "length": "600", "sections": {"a": 1}},
    "sections that are numbers": {"sections": [7, None]},
    "a verdict": {"gate_status": "passed", "requirements_met": True, "verdict": {"outcome": "pass"}},
    "a path": {"path": "../../etc/passwd", "artifact_path": 7, "workspace_path": "/"},
    "an empty key": {"": ""},
    "10,000 keys": {f"k{n}": n for n in range(10_000)},
    "a key of 100,000 characters": {"k" * 100_000: 1},
    "an object of great depth": {"a": {"b": [[[[[[[[[{}]]]]]]]]]}},
}

PATHS: Final = (
    "../../etc/passwd", "/etc/passwd", "/proc/self/environ", "/dev/zero", ".", "..", "./", "a\nb", "\u202e",
    "x" * 4096, "x/" * 2048, "~/.ssh/id_rsa", "file:///etc/passwd", "link", "links/passwd", "pipe", "folder",
    "nothing", "//etc/passwd", "report.xml/", "report.xml/..", "./report.xml\\", " ", "*", "-rf", "$(id)",
    ".git/config",
)  # fmt: skip
"""Names of files that must not be evidence: `link`, `links` and `pipe` are made by the test."""

GOOD_RESULTS: Final = {"artifact_type": "test_results", "artifact_content": {"report": "<testsuite/>"}}

RESULTS: Final[dict[str, object]] = {
    "artifacts that are a number": {"artifacts": 7},
    "artifacts that are an object": {"artifacts": {"test_results": {"all_passed": True}}},
    "artifacts that are a text": {"artifacts": "test_results"},
    "artifacts that are numbers": {"artifacts": [7, None, True, "a", 1.5]},
    "artifacts that are lists": {"artifacts": [[], [[GOOD_RESULTS]]]},
    "empty artifacts": {"artifacts": [{}, {}]},
    "a type that is a number": {"artifacts": [GOOD_RESULTS | {"artifact_type": 7}]},
    "a type that is empty": {"artifacts": [GOOD_RESULTS | {"artifact_type": ""}]},
    "a type that is too long": {"artifacts": [GOOD_RESULTS | {"artifact_type": "x" * 101}]},
    "a type that turns the line around": {"artifacts": [GOOD_RESULTS | {"artifact_type": "\u202etset"}]},
    "a content that is a number": {"artifacts": [GOOD_RESULTS | {"artifact_content": 7}]},
    "a content that is null": {"artifacts": [GOOD_RESULTS | {"artifact_content": None}]},
    "a path that is a number": {"artifacts": [{"artifact_type": "test_results", "artifact_path": 7}]},
    "a path that is too long": {
        "artifacts": [{"artifact_type": "test_results", "artifact_path": "x" * 5000}]
    },
    "a path outside": {"artifacts": [{"artifact_type": "test_results", "artifact_path": "/etc/passwd"}]},
    "another phase": {"artifacts": [GOOD_RESULTS | {"phase_id": "PHASE_DONE"}]},
    "a phase that is none": {"artifacts": [GOOD_RESULTS | {"phase_id": "nowhere"}]},
    "another collector": {"artifacts": [GOOD_RESULTS | {"collected_by": "root", "id": 7, "seq": -1}]},
    "artifacts in artifacts": {"artifacts": [GOOD_RESULTS | {"artifacts": [GOOD_RESULTS]}]},
    "5,000 artifacts": {"artifacts": [GOOD_RESULTS] * 5000},
    "a verdict": {"gate_status": "passed", "status": "completed", "requirements_met": True},
    "a summary that is a number": {"summary": 7, "decisions": 7, "notes": {"a": []}, "artifacts": []},
    "lists that are texts": {"decisions": "yes", "risks": "no", "files": {}, "commands": [None, 7, {"a": 1}]},
    "10,000 keys": {f"k{n}": [n] for n in range(10_000)},
    "a long text": {"summary": "x" * 1_000_000},
    "a key that is empty": {"": {"": ""}},
}
