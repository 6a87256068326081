"""How each language writes comments, tests, assertions and skips.

The patterns run over text whose comments and strings are blanked (`codetext.blank`), so a word in
a comment or a string never counts; positions stay those of the original text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

_NEVER = re.compile(r"(?!)")
_DOUBLE = r'"(?:\\.|[^"\\\n])*"?'
_SINGLE = r"'(?:\\.|[^'\\\n])*'?"
# The closing sign is a group without a name: `lastgroup` names a string that has none. Every branch of a
# lexer that begins with a plain sign lets `re` skip to the next one.
_TRIPLE = r'"""(?P<open_double>)(?:\\.|(?!""").)*(""")?|' r"'''(?P<open_single>)(?:\\.|(?!''').)*(''')?"
_BACKTICK = r"`(?:\\.|[^`\\])*`?"
_BLOCK = r"/\*(?:(?!\*/).)*(?:\*/)?"
_SLASHES = r"//[^\n]*"
_CHARACTER = r"'(?:\\[^\n']+|[^'\\\n])'"
_RAW_RUST = r'r(?P<hashes>#*)"(?:(?!"(?P=hashes)).)*(?:"(?P=hashes))?'


def _lexer(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.DOTALL)


def _words(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.MULTILINE)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


@dataclass(frozen=True)
class Words:
    """The vocabulary of one language.

    Attributes:
        hidden: Comments and strings. A last group "open_…" marks a string without an end that opens and
            closes with the same sign, where a cut text cannot tell an end from a beginning.
        tests: The definition of a test; the name is the one group that took part.
        fails: Calls that end a test as failed: an assertion although nothing is compared.
        hints: Plain words, one of which stands on every line that `asserts`, `fails` or `skips` can
            match; none means that every line is looked at. Without them a scan takes seven times as long.
            One that ends in a dot is the start of a word.
        hints_of: Which of the hints `fails`, `skips` and, on one line, `tests` need, where that are not all.
        tests_on_one_line: The hints cover `tests` as well, whose matches never span lines.
        test_hints: Where the hints do not cover `tests`: each is in every hunk, comments included, of
            which `tests` can match one side; none means that every hunk is looked at.
        inline: Where a test region starts inside a source file.
    """

    hidden: re.Pattern[str]
    tests: re.Pattern[str]
    asserts: re.Pattern[str]
    skips: re.Pattern[str]
    hints: str = ""
    tests_on_one_line: bool = False
    test_hints: tuple[re.Pattern[bytes], ...] = ()
    hints_of: Mapping[str, frozenset[str]] = field(default_factory=dict)
    fails: re.Pattern[str] = field(default=_NEVER)
    inline: re.Pattern[str] | None = None

    @cached_property
    def byte_hints(self) -> dict[bytes, str]:
        """Each hint by its bytes."""
        return {hint.encode(): hint for hint in self.hints.split()}

    @cached_property
    def word_starts(self) -> dict[bytes, re.Pattern[bytes]]:
        """What tells a hint that starts a word from the end of a longer one."""
        # The plain text comes first: so `re` finds it as quickly as `in` does.
        return {
            hint: re.compile(b"%s(?<!\\w%s)" % ((re.escape(hint),) * 2))
            for hint in self.byte_hints
            if hint.endswith(b".")
        }

    @cached_property
    def has_blocks(self) -> bool:
        """Whether comments are written as in C, so that one may have begun above a cut text."""
        return r"/\*" in self.hidden.pattern


_C_LIKE = _lexer(_BLOCK, _SLASHES, _DOUBLE, _SINGLE)
_C_LIKE_TRIPLE = _lexer(_BLOCK, _SLASHES, _TRIPLE, _DOUBLE, _CHARACTER)
_NAME = r"(`[^`\n]+`|\w+)"
_QUOTED = r"""(["'`][^"'`\n]*["'`])"""
_NOT_DEFINED = r"(?<!def )(?<!fun )(?<!func )(?<!void )(?<!function )(?<!fn )"

_JVM_TEST = (
    r"@(?:\w+\.)*(?:Test|ParameterizedTest|RepeatedTest|TestFactory|Property)\b(?:\s*\([^)]*\))?"
    r"(?:\s*@\w+(?:\s*\([^)]*\))?)*[^;{}()@]*?" + _NAME + r"\s*\("
)
_JVM_ASSERTS = (
    _NOT_DEFINED + r"\b(?:assert|verify|expect|should)[A-Z]\w*(?:<[^>\n]*>)?\s*[({]",
    r"(?:^|[\s;{])assert\s+(?=[^\s])",
    r"\b(?:verify|assert|expect|assertThat|check)\s*\(",
    r"\.(?:should\w*|assert\w*|verify\w*|expect\w*|andExpect)\s*[({]",
    r"\b(?:should(?:Be|Equal|Throw|Not|Have|Contain)\w*|mustBe|shouldEqual|must)\s+(?=\S)",
)
_JVM_SKIPS = (
    r"@(?:\w+\.)*(?:Disabled\w*|Ignore|Ignored|EnabledIf\w*|EnabledOn\w*)\b",
    r"\b(?:assume(?:True|False|That|Condition)|cancel|pending)\s*\(",
    r"\benabled\s*=\s*false\b",
)

_SCRIPT_CALL = r"(?<![\w.$])(?:it|test|specify|bench)(?:\.\w+)*\s*(?:\([^()]*\)\s*|`[^`]*`\s*)?\(\s*"

WORDS: dict[str, Words] = {
    "python": Words(
        tests_on_one_line=True,
        hints="assert raises warns deprecated_call test expect ensure_that fail skip Skip collect_ignore",
        hints_of={
            "fails": _set("fail"),
            "skips": _set("skip Skip fail expect test collect_ignore"),
            "tests": _set("test"),
        },
        hidden=_lexer(r"#[^\n]*", _TRIPLE, _DOUBLE, _SINGLE),
        tests=_words(r"^[ \t]*(?:async[ \t]+)?def[ \t]+(test\w*)"),
        asserts=_words(
            r"(?:^|[:;])[ \t]*assert\b(?=[^\w=])",
            r"\b(?:self|cls|case|tc|\w*[Tt]est\w*)\.assert\w+\s*\(",
            r"\.assert_(?:called|not_called|has_calls|any_call|any_await|awaited|not_awaited|has_awaits)\w*\s*\(",
            r"\b(?:pytest\.)?(?:raises|warns|deprecated_call)\s*\(",
            r"(?<!def )\bassert_\w+\s*\(",
            r"(?<![\w.])expect\s*\(",
            r"(?<!def )\bensure_that\s*\(",
        ),
        fails=_words(r"\bpytest\.fail\s*\(", r"\bself\.fail\s*\("),
        skips=_words(
            r"\bmark\.(?:skip|skipif|xfail)\b",
            r"\bpytest\.(?:skip|xfail|importorskip)\s*\(",
            r"@(?:unittest\.)?(?:skip|skipIf|skipUnless|expectedFailure)\b",
            r"\.skipTest\s*\(|\bSkipTest\b|\b__test__\s*=\s*False\b|\bcollect_ignore(?:_glob)?\b\s*\+?=",
        ),
    ),
    "javascript": Words(
        test_hints=(
            re.compile(rb"\([^\S\n]*[\"'`/\n\x1c-\x1f\x80-\xff]|\([^\S\n]*\Z"),
            re.compile(rb"(?:it(?<!\wit)|test(?<!\wtest)|specify|bench)\b"),
        ),
        hints="expect assert should t. fail skip todo fixme only xit xtest fit describe context pending",
        hints_of={
            "fails": _set("fail"),
            "skips": _set("fail skip todo fixme only xit xtest fit describe context pending"),
        },
        hidden=_lexer(_BLOCK, _SLASHES, _DOUBLE, _SINGLE, _BACKTICK),
        tests=_words(_SCRIPT_CALL + _QUOTED),
        asserts=_words(
            r"(?<![\w.$])expect(?:\.soft|\.poll)?\s*(?:<[^>\n]*>)?\(",
            r"(?<![\w$])(?<!function )assert(?:\.\w+)*\s*\(",
            r"(?<![\w$])t\.(?:is|not|deepEqual|like|truthy|falsy|true|false|throws|throwsAsync|equal|ok|same)\s*\(",
            r"\.should\b|\.should\s*\(",
            r"(?<![\w$])(?:expectTypeOf|assertEquals|assertThrows|assertStrictEquals|sinon\.assert\.\w+)\s*\(",
        ),
        skips=_words(
            r"(?<![\w$])(?:it|test|describe|context|suite|specify)(?:\.\w+)*\.(?:skip|skipIf|todo|fixme|fails|only)\b",
            r"(?<![\w$.])(?:xit|xtest|xdescribe|xcontext|fit|fdescribe)\s*\(",
            r"(?<![\w$])(?:this|t|ctx)\.skip\s*\(|(?<![\w$.])pending\s*\(",
        ),
        fails=_words(r"(?<![\w$.])(?:assert\.fail|expect\.fail|t\.fail|fail)\s*\("),
    ),
    "java": Words(
        test_hints=(re.compile(rb"[Tt]est|Property|def"),),
        hints=(
            "assert verify expect should check must fail isabled gnore Enabled enabled assum cancel pending"
        ),
        hidden=_C_LIKE_TRIPLE,
        tests=_words(_JVM_TEST, r"\bpublic\s+void\s+(test\w*)\s*\(", r"\bdef\s+(\"[^\"\n]+\")\s*\("),
        asserts=_words(*_JVM_ASSERTS),
        skips=_words(*_JVM_SKIPS),
        fails=_words(r"(?<![\w.])(?:Assertions?\.|Assert\.)?fail\s*\("),
    ),
    "kotlin": Words(
        hints=(
            "assert verify expect should check must fail isabled gnore Enabled enabled assum cancel "
            "pending xtest xit xdescribe"
        ),
        hidden=_C_LIKE_TRIPLE,
        tests=_words(_JVM_TEST, r"(?:^|[^\w.])(?:test|it|should|scenario)\s*\(\s*" + _QUOTED),
        asserts=_words(*_JVM_ASSERTS, r"\sshould(?:Be|Throw|Have|Not|Contain)?\w*\s+\S"),
        skips=_words(*_JVM_SKIPS, r"(?<![\w.])x(?:test|it|should|describe)\s*\(|\.config\s*\(\s*enabled\s*="),
        fails=_words(r"(?<![\w.])fail\s*\("),
    ),
    "scala": Words(
        hints=(
            "assert verify expect should check must fail intercept isabled gnore Enabled enabled "
            "assum cancel pending"
        ),
        hidden=_C_LIKE_TRIPLE,
        tests=_words(
            _JVM_TEST,
            r"(?:^|[^\w.])(?:test|it|scenario|property)\s*\(\s*" + _QUOTED,
            r"\b(?:should|must|can)\s+(\"[^\"\n]*\")\s+(?:in|taggedAs)\b",
            r"^\s*(\"[^\"\n]*\")\s+in\b",
        ),
        asserts=_words(
            *_JVM_ASSERTS, r"\b(?:shouldBe|shouldEqual|mustBe|mustEqual|should\s+\w+)\b", r"\bintercept\["
        ),
        skips=_words(*_JVM_SKIPS, r"(?<![\w.])ignore\s*\(|\bin\s+pending\b|\bignore\s*\{"),
        fails=_words(r"(?<![\w.])fail\s*\("),
    ),
    "go": Words(
        tests_on_one_line=True,
        hints=(
            "assert require is. must. check. qt. Expect Eventually Consistently Ω s. suite ts. Test "
            "Fuzz Example Error Fatal Fail Skip XIt PIt Describe FIt"
        ),
        hidden=_lexer(_BLOCK, _SLASHES, _DOUBLE, r"`[^`]*`?", _CHARACTER),
        tests=_words(r"^func\s+(?:\([^)]*\)\s*)?((?:Test|Fuzz|Example)\w*)\s*\("),
        asserts=_words(
            r"\b(?:assert|require|is|must|check|qt)\.[A-Z]\w*\s*\(",
            r"\bExpect(?:WithOffset)?\s*\(|\b(?:Eventually|Consistently|Ω)\s*\(",
            r"\b(?:s|suite|ts)\.(?:Equal|True|False|No(?:Error|tNil)|Nil|Error|Len|Contains|Require|Assert)\w*\s*\(",
        ),
        fails=_words(
            r"\b(?:t|tb|b|c|tt|f)\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\s*\(", r"\bGinkgo\w*\.Fail\("
        ),
        skips=_words(
            r"\b(?:t|tb|b|f|s\.T\(\)|suite\.T\(\))\.(?:Skip|Skipf|SkipNow)\s*\(",
            r"(?<![\w.])(?:XIt|PIt|XDescribe|PDescribe|FIt|FDescribe|Skip)\s*\(",
        ),
    ),
    "rust": Words(
        test_hints=(re.compile(rb"test|bench"),),
        hints="assert panic unreachable ignore",
        hidden=_lexer(_BLOCK, _SLASHES, _RAW_RUST, r'"(?:\\.|[^"\\])*"?', _CHARACTER),
        tests=_words(
            r"#\[(?:\w+::)*(?:test|rstest|test_case|bench|wasm_bindgen_test)\b[^\]]*\](?:\s*#!?\[[^\]]*\])*"
            r"\s*(?:pub\s+)?(?:async\s+)?fn\s+(\w+)"
        ),
        asserts=_words(
            r"\b(?:debug_)?assert(?:_\w+)?!\s*[(\[{]", r"\bprop_assert\w*!\s*\(", r"#\[should_panic"
        ),
        skips=_words(r"#\[ignore\b|#\[cfg_attr\([^\]\n]*\bignore\b"),
        fails=_words(r"\b(?:panic|unreachable)!\s*\("),
        inline=re.compile(
            r"^[ \t]*(?:#\[cfg\((?:test\b|all\(\s*test\b)"
            r"|#\[(?:\w+::)*(?:test|rstest)\b|(?:pub )?mod tests?\b)"
        ),
    ),
    "cpp": Words(
        test_hints=(re.compile(rb"test|TEST|SCENARIO"),),
        hints=(
            "EXPECT ASSERT CHECK REQUIRE BOOST XCT assert QCOMPARE QVERIFY SKIP DISABLED IGNORE "
            "disabled FAIL ADD_ ck_abort"
        ),
        hidden=_C_LIKE,
        tests=_words(
            r"^\s*(?:TEST|TEST_F|TEST_P|TYPED_TEST|TEST_CASE|TEST_METHOD|SCENARIO|BOOST_AUTO_TEST_CASE"
            r"|START_TEST|PYTEST_TEST)\s*\(\s*([^)\n]*?)\s*\)",
            r"^\s*(?:static\s+)?void\s+(test\w*)\s*\(",
            r"^-\s*\(void\)\s*(test\w*)",
        ),
        asserts=_words(
            r"\b(?:EXPECT|ASSERT|CHECK|REQUIRE|BOOST_(?:CHECK|TEST|REQUIRE)|TEST_ASSERT|XCTAssert|ck_assert"
            r"|CU_ASSERT|STATIC_REQUIRE|QCOMPARE|QVERIFY)\w*\s*\(",
            r"(?<![\w.])(?:static_)?assert(?:_\w+)?\s*\(",
        ),
        skips=_words(
            r"\bGTEST_SKIP\b|(?<![\w.])SKIP\s*\(|\bDISABLED_\w+|\bTEST_IGNORE\w*|\bXCTSkip\w*|\bQSKIP\b",
            r"\bboost::unit_test::disabled\b",
        ),
        fails=_words(r"\b(?:FAIL|ADD_FAILURE|XCTFail|TEST_FAIL\w*|ck_abort\w*)\s*\("),
    ),
    "csharp": Words(
        test_hints=(re.compile(rb"Test|Fact|Theory"),),
        hints="Assert Expect Should Verify Received Must Ignore Explicit Skip",
        hidden=_lexer(_BLOCK, _SLASHES, r'@"(?:""|[^"])*"?', _DOUBLE, _CHARACTER),
        tests=_words(
            r"\[\s*(?:Fact|Theory|Test|TestMethod|TestCase|DataTestMethod)\b[^\]]*\](?:\s*\[[^\]]*\])*"
            r"[^;{}()\[\]]*?(\w+)\s*(?:<[^>\n]*>)?\("
        ),
        asserts=_words(
            r"(?<!\w)(?:Assert|CollectionAssert|StringAssert|ClassicAssert|Expect)\.(?!Ignore|Inconclusive|Fail)\w+"
            r"(?:<[^>\n]*>)?\s*\(",
            r"\.Should(?:\w*)\s*\(|\.Verify(?:\w*)\s*\(|\.Received\w*\s*\(|\.Must\w+\s*\(",
        ),
        skips=_words(
            r"\[\s*(?:\w+\s*,\s*)*(?:Ignore|Explicit)\b",
            r"\bSkip\s*=\s*(?=\S)",
            r"\bAssert\.(?:Ignore|Inconclusive|Skip)\w*\s*\(|\bSkip\.If\w*\s*\(",
        ),
        fails=_words(r"\bAssert\.Fail\s*\("),
    ),
    "ruby": Words(
        tests_on_one_line=True,
        hints=(
            "it test specify scenario example expect assert refute should must wont is_expected skip "
            "pending xit xdescribe xcontext xspecify fit fdescribe flunk fail"
        ),
        hidden=_lexer(r"^=begin\b(?:(?!^=end).)*", r"(?<![\w$])#[^\n]*", _DOUBLE, _SINGLE),
        tests=_words(
            r"^\s*(?:it|specify|test|scenario|example)\s*\(?\s*(\"[^\"\n]*\"|'[^'\n]*')",
            r"^\s*def\s+(test_\w+[?!]?)",
        ),
        asserts=_words(
            r"(?<![\w.:])expect\s*[({]",
            r"(?<!def )\b(?:assert|refute)(?:_\w+)?[?!]?[ \t(]+(?=\S)",
            r"\.should(?:_not|_receive)?\b|\b(?:is_expected|should|must|wont)\b[._ ](?=\S)",
        ),
        skips=_words(
            r"^\s*(?:xit|xdescribe|xcontext|xspecify|fit|fdescribe|skip|pending)\b",
            r"\b(?:skip|pending)\s*:\s|:(?:skip|pending)\s*(?:=>|\bdo\b|,)",
        ),
        fails=_words(r"^\s*(?:flunk|fail)\b"),
    ),
    "php": Words(
        hints="assert expect should see must fail mark skip todo only Requires",
        hidden=_lexer(_BLOCK, _SLASHES, r"#(?!\[)[^\n]*", _DOUBLE, _SINGLE),
        tests=_words(
            r"\bfunction\s+(test\w*)\s*\(",
            r"#\[\s*Test\b[^\]]*\][^;{}()]*?function\s+(\w+)\s*\(",
            r"(?:^|[^\w>:$])(?:it|test)\s*\(\s*(\"[^\"\n]*\"|'[^'\n]*')",
        ),
        asserts=_words(
            r"(?:->|::)(?:assert|expect)\w*\s*\(",
            r"(?<!function )(?<![\w$>:])(?:assert\w*|expect)\s*\(",
            r"(?:->|::)(?:should\w*|see\w*|shouldHaveReceived|must\w+)\s*\(",
        ),
        skips=_words(
            r"(?:->|::)(?:markTestSkipped|markTestIncomplete|skip|todo|only)\s*\(", r"#\[\s*Requires\w*"
        ),
        fails=_words(r"(?:->|::)fail\s*\("),
    ),
    "swift": Words(
        hints="XCT #expect #require expect Issue disabled enabled xit fit fdescribe xdescribe",
        hidden=_lexer(_BLOCK, _SLASHES, _TRIPLE, _DOUBLE),
        tests=_words(
            r"\bfunc\s+(test\w*)\s*\(",
            r"@Test\b(?:\s*\([^)]*\))?[^;{}()]*?func\s+(\w+)",
            r"\bit\(\s*" + _QUOTED,
        ),
        asserts=_words(
            r"\bXCTAssert\w*\s*\(",
            r"#expect\s*\(|#require\s*\(",
            r"\bXCTUnwrap\s*\(",
            r"(?<![\w.])expect\s*[({]",
        ),
        skips=_words(
            r"\bXCTSkip\w*",
            r"@Test\s*\([^)\n]*\.(?:disabled|enabled)\b",
            r"(?<![\w.])(?:xit|xdescribe|fit)\s*\(",
        ),
        fails=_words(r"\bXCTFail\s*\(|\bIssue\.record\s*\("),
    ),
    "elixir": Words(
        tests_on_one_line=True,
        hints="test property assert refute flunk tag",
        hidden=_lexer(r"#(?!\{)[^\n]*", _TRIPLE, _DOUBLE, _SINGLE),
        tests=_words(r"^\s*(?:test|property)\s*\(?\s*(\"[^\"\n]*\")"),
        asserts=_words(r"(?<!def )(?<!defmacro )(?<![\w.:])(?:assert|refute)(?:_\w+)?[ \t(]+(?=\S)"),
        skips=_words(r"@(?:module)?tag\s+:?skip\b|@(?:module|describe)tag\s+:?skip\b|@tag\s+:pending\b"),
        fails=_words(r"(?<![\w.])flunk\b"),
    ),
    "shell": Words(
        hidden=_lexer(r"(?<![\w$#{])#[^\n]*", r"'[^']*'?", r'"(?:\\.|[^"\\])*"?'),
        tests=_words(r"^\s*@test\s+(\"[^\"\n]*\"|'[^'\n]*')", r"^(?:function\s+)?(test\w*)\s*\(\)"),
        asserts=_words(r"(?<!function )\b(?:assert|refute)\w*[ \t]+(?=\S)"),
        skips=_words(r"^\s*skip\b|\bstartSkipping\b"),
        # Here a test is a plain command whose operands are quoted, so nothing in it looks like a name.
        fails=_words(r"^\s*!?\s*(?:\[\[?|test)[ \t]", r"\|\|\s*(?:exit|return|fail|false)\b", r"^\s*fail\b"),
    ),
}
