"""The changes reader counts what a diff really does to code and tests."""

from __future__ import annotations

import io

import pytest

from omoi_os.domain.evidence import ChangeFacts, Unreadable, UnreadableCode
from omoi_os.evidence.gitdiff import read_diff
from omoi_os.evidence.languages import Kind, describe_path
from omoi_os.evidence.limits import ReadLimits


def _diff(path: str, body: str, *, old_path: str | None = None, start: int = 10, heading: str = "") -> str:
    """A git diff of one existing file with one hunk whose counts are right."""
    lines = body.strip("\n").split("\n")
    lines = [line or " " for line in lines]
    old = sum(line[:1] != "+" for line in lines)
    new = sum(line[:1] != "-" for line in lines)
    old_path = old_path or path
    rename = f"similarity index 90%\nrename from {old_path}\nrename to {path}\n" if old_path != path else ""
    return (
        f"diff --git a/{old_path} b/{path}\n{rename}index 1111111..2222222 100644\n"
        f"--- a/{old_path}\n+++ b/{path}\n"
        f"@@ -{start},{old} +{start},{new} @@ {heading}\n" + "\n".join(lines) + "\n"
    )


def _new_file(path: str, text: str) -> str:
    lines = text.strip("\n").split("\n")
    body = "".join(f"+{line}\n" for line in lines)
    return (
        f"diff --git a/{path} b/{path}\nnew file mode 100644\nindex 0000000..2222222\n"
        f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n{body}"
    )


def _deleted_file(path: str, text: str) -> str:
    lines = text.strip("\n").split("\n")
    body = "".join(f"-{line}\n" for line in lines)
    return (
        f"diff --git a/{path} b/{path}\ndeleted file mode 100644\nindex 2222222..0000000\n"
        f"--- a/{path}\n+++ /dev/null\n@@ -1,{len(lines)} +0,0 @@\n{body}"
    )


def _read(text: str | bytes, limits: ReadLimits | None = None) -> ChangeFacts | Unreadable:
    raw = text.encode() if isinstance(text, str) else text
    return read_diff(io.BytesIO(raw), limits or ReadLimits())


def _facts(text: str | bytes) -> ChangeFacts:
    facts = _read(text)
    assert isinstance(facts, ChangeFacts), facts
    return facts


def _code(text: str | bytes, limits: ReadLimits | None = None) -> UnreadableCode:
    problem = _read(text, limits)
    assert isinstance(problem, Unreadable), problem
    assert problem.detail
    assert problem.fix
    return problem.code


CODE = _diff("src/app.py", " a = 1\n-b = 2\n+b = 3")

PATHS = [
    ("src/app.py", Kind.CODE),
    ("src/testimony.py", Kind.CODE),
    ("omoi/contest.py", Kind.CODE),
    ("tests/test_app.py", Kind.TEST),
    ("app/tests.py", Kind.TEST),
    ("pkg/app_test.py", Kind.TEST),
    ("tests/conftest.py", Kind.TEST_SUPPORT),
    ("conftest.py", Kind.TEST_SUPPORT),
    ("tests/helpers.py", Kind.TEST_SUPPORT),
    ("tests/__init__.py", Kind.TEST_SUPPORT),
    ("tests/fixtures/test_sample.py", Kind.TEST_SUPPORT),
    ("src/a.ts", Kind.CODE),
    ("src/a.spec.ts", Kind.TEST),
    ("src/a.test.tsx", Kind.TEST),
    ("src/__tests__/a.js", Kind.TEST),
    ("src/__tests__/__fixtures__/a.js", Kind.TEST_SUPPORT),
    ("cypress/e2e/login.cy.js", Kind.TEST),
    ("src/main/java/a/Foo.java", Kind.CODE),
    ("src/test/java/a/FooTest.java", Kind.TEST),
    ("src/test/java/a/FooBuilder.java", Kind.TEST_SUPPORT),
    ("src/main/kotlin/Latest.kt", Kind.CODE),
    ("src/test/kotlin/FooTest.kt", Kind.TEST),
    ("src/test/scala/FooSpec.scala", Kind.TEST),
    ("pkg/a.go", Kind.CODE),
    ("pkg/a_test.go", Kind.TEST),
    ("pkg/testdata/x_test.go", Kind.TEST_SUPPORT),
    ("src/lib.rs", Kind.CODE),
    ("tests/api.rs", Kind.TEST),
    ("tests/common/mod.rs", Kind.TEST_SUPPORT),
    ("src/a.cc", Kind.CODE),
    ("src/a_test.cc", Kind.TEST),
    ("test/a.cpp", Kind.TEST),
    ("Shop/Cart.cs", Kind.CODE),
    ("Shop.Tests/CartTests.cs", Kind.TEST),
    ("lib/a.rb", Kind.CODE),
    ("spec/a_spec.rb", Kind.TEST),
    ("spec/spec_helper.rb", Kind.TEST_SUPPORT),
    ("src/A.php", Kind.CODE),
    ("tests/ATest.php", Kind.TEST),
    ("Sources/A.swift", Kind.CODE),
    ("Tests/ATests.swift", Kind.TEST),
    ("lib/a.ex", Kind.CODE),
    ("test/a_test.exs", Kind.TEST),
    ("test/test_helper.exs", Kind.TEST_SUPPORT),
    ("bin/run.sh", Kind.CODE),
    ("tests/run.bats", Kind.TEST),
    ("db/schema.sql", Kind.CODE),
    ("Dockerfile", Kind.CODE),
    ("tests/data.sql", Kind.TEST_SUPPORT),
    ("README.md", Kind.DOCUMENT),
    ("LICENSE", Kind.DOCUMENT),
    ("docs/index.rst", Kind.DOCUMENT),
    ("requirements.txt", Kind.OTHER),
    ("CMakeLists.txt", Kind.OTHER),
    ("package-lock.json", Kind.OTHER),
    ("logo.png", Kind.OTHER),
]


@pytest.mark.parametrize(("path", "kind"), PATHS)
def test_a_path_is_what_the_conventions_of_its_language_say(path: str, kind: Kind) -> None:
    assert describe_path(path).kind is kind


ASSERTS = [
    ("tests/test_a.py", "    assert total(3) == 6"),
    ("tests/test_a.py", "        self.assertEqual(total(3), 6)"),
    ("tests/test_a.py", "    with pytest.raises(ValueError):"),
    ("tests/test_a.py", "    mailer.assert_called_once_with(user)"),
    ("tests/test_a.py", '    assert f"{x}" == "3"'),
    ("tests/test_a.py", '    pytest.fail("unreachable")'),
    ("tests/test_a.py", "    assert x.total == y.total"),
    ("src/a.test.ts", "  expect(sum(1, 2)).toBe(3);"),
    ("src/a.test.ts", "  assert.equal(sum(1, 2), 3);"),
    ("src/a.test.ts", "  result.should.equal(3);"),
    ("src/a.test.ts", "  await expect(load()).rejects.toThrow();"),
    ("src/test/java/FooTest.java", "    assertEquals(3, sum(1, 2));"),
    ("src/test/java/FooTest.java", "    verify(mailer).send(any());"),
    ("src/test/java/FooTest.java", "    assertThat(sum(1, 2)).isEqualTo(3);"),
    ("src/test/kotlin/FooTest.kt", "    sum(1, 2) shouldBe 3"),
    ("src/test/kotlin/FooTest.kt", "    assertEquals(3, sum(1, 2))"),
    ("src/test/scala/FooSpec.scala", "    sum(1, 2) shouldBe 3"),
    ("a_test.go", '\t\tt.Errorf("got %d", got)'),
    ("a_test.go", '\t\tt.Fatal("no")'),
    ("a_test.go", "\trequire.NoError(t, err)"),
    ("tests/a.rs", "    assert_eq!(sum(1, 2), 3);"),
    ("tests/a.rs", "    assert!(is_ready(&x));"),
    ("tests/a_test.cc", "  EXPECT_EQ(sum(1, 2), 3);"),
    ("tests/a_test.cc", "  REQUIRE(sum(1, 2) == 3);"),
    ("Shop.Tests/CartTests.cs", "        Assert.That(cart.Total, Is.EqualTo(3));"),
    ("Shop.Tests/CartTests.cs", "        cart.Total.Should().Be(3);"),
    ("spec/a_spec.rb", "    expect(sum(1, 2)).to eq(3)"),
    ("spec/a_spec.rb", "    assert_equal 3, sum(1, 2)"),
    ("tests/ATest.php", "        $this->assertSame(3, sum(1, 2));"),
    ("Tests/ATests.swift", "        XCTAssertEqual(sum(1, 2), 3)"),
    ("Tests/ATests.swift", "        #expect(sum(1, 2) == 3)"),
    ("test/a_test.exs", "    assert Shop.sum(1, 2) == 3"),
    ("test/run.bats", '  [ "$status" -eq 0 ]'),
    ("test/run.bats", "  assert_output --partial done"),
]


@pytest.mark.parametrize(("path", "line"), ASSERTS)
def test_a_line_that_asserts_makes_an_asserting_test(path: str, line: str) -> None:
    facts = _facts(CODE + _diff(path, f" before\n+{line}\n after"))
    assert facts.asserting_tests == (path,)
    assert facts.added_assertions == 1
    assert facts.code_files == ("src/app.py",)


NOT_ASSERTS = [
    ("tests/test_a.py", "    # assert total(3) == 6"),
    ("tests/test_a.py", '    "assert total(3) == 6"'),
    ("tests/test_a.py", "    assert True"),
    ("tests/test_a.py", "    assert 1 == 1"),
    ("tests/test_a.py", "    assert (True)"),
    ("tests/test_a.py", '    assert True, "always"'),
    ("tests/test_a.py", "    assert x is x"),
    ("tests/test_a.py", "    assert total(3) == total(3)"),
    ("tests/test_a.py", "    self.assertEqual(x, x)"),
    ("tests/test_a.py", "    self.assertTrue(True)"),
    ("tests/test_a.py", '    assert "a" in "abc"'),
    ("tests/test_a.py", "    assertion = build()"),
    ("tests/test_a.py", "from unittest.mock import assert_never"),
    ("tests/test_a.py", "def assert_valid(x):"),
    ("src/a.test.ts", "  // expect(sum(1, 2)).toBe(3);"),
    ("src/a.test.ts", "  /* expect(sum(1, 2)).toBe(3); */"),
    ("src/a.test.ts", "  const text = `expect(x).toBe(3)`;"),
    ("src/a.test.ts", "  expect(true).toBe(true);"),
    ("src/a.test.ts", "  expect(1).toEqual(1);"),
    ("src/a.test.ts", "  expect(x).toBe(x);"),
    ("src/a.test.ts", "  assert.ok(true);"),
    ("src/test/java/FooTest.java", "    assertTrue(true);"),
    ("src/test/java/FooTest.java", "import static org.junit.Assert.assertEquals;"),
    ("tests/a.rs", "    assert_eq!(1, 1);"),
    ("tests/a.rs", "    assert!(true);"),
    ("a_test.go", "\tassert.True(true)"),
    ("tests/a_test.cc", "  EXPECT_TRUE(true);"),
    ("tests/a_test.cc", "  // EXPECT_EQ(sum(1, 2), 3);"),
    ("Shop.Tests/CartTests.cs", "        Assert.True(true);"),
    ("spec/a_spec.rb", "    expect(true).to be true"),
    ("test/a_test.exs", "    assert true"),
    ("Tests/ATests.swift", "        XCTAssertTrue(true)"),
    ("tests/conftest.py", "    assert total(3) == 6"),
    ("tests/helpers.py", "    assert total(3) == 6"),
    ("tests/fixtures/test_x.py", "    assert total(3) == 6"),
    ("src/app2.py", "    assert total(3) == 6"),
    ("tests/data.json", '{"assert": "expect(x)"}'),
]


@pytest.mark.parametrize(("path", "line"), NOT_ASSERTS)
def test_a_line_that_cannot_fail_is_no_assertion(path: str, line: str) -> None:
    facts = _facts(CODE + _diff(path, f" before\n+{line}\n after"))
    assert facts.asserting_tests == ()
    assert facts.added_assertions == 0


SKIPS = [
    ("tests/test_a.py", "@pytest.mark.skip"),
    ("tests/test_a.py", '@pytest.mark.xfail(reason="flaky")'),
    ("tests/test_a.py", "@pytest.mark.skipif(True, reason='x')"),
    ("tests/test_a.py", '    pytest.skip("later")'),
    ("tests/test_a.py", "@unittest.skip('x')"),
    ("tests/test_a.py", "    self.skipTest('x')"),
    ("src/a.test.ts", "it.skip('adds', () => {"),
    ("src/a.test.ts", "xit('adds', () => {"),
    ("src/a.test.ts", "describe.skip('all', () => {"),
    ("src/a.test.ts", "test.todo('adds');"),
    ("src/a.test.ts", "it.only('adds', () => {"),
    ("src/test/java/FooTest.java", "  @Disabled"),
    ("src/test/java/FooTest.java", '  @Ignore("x")'),
    ("src/test/scala/FooSpec.scala", '  ignore("adds") {'),
    ("a_test.go", '\tt.Skip("later")'),
    ("tests/a.rs", "#[ignore]"),
    ("tests/a_test.cc", "  GTEST_SKIP();"),
    ("tests/a_test.cc", "TEST(Cart, DISABLED_Adds) {"),
    ("Shop.Tests/CartTests.cs", "    [Ignore]"),
    ("Shop.Tests/CartTests.cs", '    [Fact(Skip = "later")]'),
    ("spec/a_spec.rb", "  xit 'adds' do"),
    ("tests/ATest.php", "        $this->markTestSkipped('x');"),
    ("Tests/ATests.swift", "        throw XCTSkip()"),
    ("test/a_test.exs", "  @tag :skip"),
    ("test/run.bats", "  skip 'later'"),
]


@pytest.mark.parametrize(("path", "line"), SKIPS)
def test_an_added_skip_is_a_weakening_that_names_its_line(path: str, line: str) -> None:
    facts = _facts(_diff(path, f" before\n+{line}\n after"))
    assert facts.added_skips == 1
    (found,) = facts.weakenings
    assert (found.kind, found.where, found.what) == ("added_skip", f"{path}:11", line.strip())


@pytest.mark.parametrize("line", ["    # pytest.skip('x')", "    text = '@pytest.mark.skip'"])
def test_a_skip_in_a_comment_or_a_string_is_none(line: str) -> None:
    assert _facts(_diff("tests/test_a.py", f" before\n+{line}")).added_skips == 0


def test_a_moved_skip_is_not_added() -> None:
    body = "-@pytest.mark.skip\n def test_a():\n     assert f(1)\n+@pytest.mark.skip\n def test_b():"
    facts = _facts(_diff("tests/test_a.py", body))
    assert facts.added_skips == 0


TESTS = [
    ("tests/test_a.py", ["    async def test_adds(self):", "        assert f(x)"], "test_adds"),
    ("src/a.test.ts", ["  it('adds two', () => {", "    expect(f(x)).toBe(2);"], "adds two"),
    ("src/a.test.ts", ["test.each([[1], [2]])('adds %d', (n) => {", "    expect(f(n)).toBe(2);"], "adds %d"),
    ("src/test/java/FooTest.java", ["  @Test", "  void adds() {", "    assertEquals(f(x), 1);"], "adds"),
    (
        "src/test/kotlin/FooTest.kt",
        ["  @Test", "  fun `adds two`() {", "    assertEquals(f(x), 1)"],
        "adds two",
    ),
    ("a_test.go", ["func TestAdds(t *testing.T) {", '\tt.Fatal("x")'], "TestAdds"),
    ("tests/a.rs", ["#[test]", "fn adds() {", "    assert!(f(x));"], "adds"),
    ("tests/a_test.cc", ["TEST(Cart, Adds) {", "  EXPECT_TRUE(f(x));"], "Cart, Adds"),
    (
        "Shop.Tests/CartTests.cs",
        ["    [Fact]", "    public void Adds()", "        Assert.True(f(x));"],
        "Adds",
    ),
    ("spec/a_spec.rb", ["  it 'adds' do", "    expect(f(x)).to eq 1"], "adds"),
    (
        "tests/ATest.php",
        ["    public function testAdds() {", "        $this->assertTrue(f($x));"],
        "testAdds",
    ),
    ("Tests/ATests.swift", ["    func testAdds() {", "        XCTAssertTrue(f(x))"], "testAdds"),
    ("test/a_test.exs", ['  test "adds" do', "    assert f(x) == 1"], "adds"),
    ("src/test/scala/FooSpec.scala", ['  it should "add" in {', "    f(x) shouldBe 1"], "add"),
    ("test/run.bats", ['@test "adds" {', '  [ "$status" -eq 0 ]'], "adds"),
]


@pytest.mark.parametrize(("path", "lines", "name"), TESTS)
def test_a_new_test_and_its_deletion_are_named(path: str, lines: list[str], name: str) -> None:
    added = _facts(_diff(path, " before\n" + "\n".join(f"+{line}" for line in lines)))
    assert added.new_tests == (name,)
    assert added.asserting_tests == (path,)
    removed = _facts(_diff(path, " before\n" + "\n".join(f"-{line}" for line in lines)))
    assert removed.deleted_tests == (name,)
    assert removed.asserting_tests == ()
    assert {found.kind for found in removed.weakenings} == {"deleted_test", "removed_assertions"}


def test_a_new_test_file_needs_a_test_that_would_run_its_assertions() -> None:
    loose = _facts(CODE + _new_file("tests/test_a.py", "x = load()\nassert x.ready"))
    assert loose.asserting_tests == ()
    real = _facts(CODE + _new_file("tests/test_a.py", "def test_ready():\n    assert load().ready"))
    assert real.asserting_tests == ("tests/test_a.py",)


@pytest.mark.parametrize(
    "body",
    [
        " it(\n+  'adds two',\n   () => {",
        " it( // why\n-  'adds one',\n+  'adds two',\n   () => {",
        "+it /* why */ ('adds two', () => {",
        " test.each([1])(\n+  'adds two',",
    ],
)
def test_a_name_apart_from_its_call_is_a_new_test(body: str) -> None:
    assert _facts(_diff("src/a.test.ts", body)).new_tests == ("adds two",)


@pytest.mark.parametrize("quotes", ['"""', "'''"])
def test_an_open_string_of_either_sign_is_read_with_less_in_it(quotes: str) -> None:
    body = f"+    assert f(x)\n {quotes}\n+    assert g(x)"
    assert _facts(_diff("tests/test_a.py", body)).added_assertions == 1
    assert _facts(_diff("tests/test_a.py", f"+{quotes}\n+    a = 1\n+{quotes}\n{body}")).added_assertions == 1


def test_a_hunk_of_many_lines_is_read_to_its_end_and_no_further() -> None:
    body = "\n".join("+    assert f(x) == 1" if number % 3 else "     x = 1" for number in range(5_000))
    first = _diff("tests/test_a.py", body)
    both = _facts(first + _diff("tests/test_b.py", "+    assert g(x)"))
    assert both.added_assertions == 3_333 + 1
    assert _code(first + "+    assert f(x)\n") is UnreadableCode.MALFORMED


def test_a_commented_out_body_counts_as_removed() -> None:
    body = " def test_a():\n-    assert f(1) == 2\n-    assert f(2) == 3\n+    # assert f(1) == 2\n+    pass"
    facts = _facts(_diff("tests/test_a.py", body))
    assert (facts.added_assertions, facts.removed_assertions) == (0, 2)
    (found,) = facts.weakenings
    assert (found.kind, found.where) == ("removed_assertions", "tests/test_a.py")
    assert found.what == "2 assertions removed, 0 added"


def test_an_assertion_that_became_trivial_counts_as_removed() -> None:
    facts = _facts(_diff("tests/test_a.py", "-    assert f(1) == 2\n+    assert True"))
    assert (facts.added_assertions, facts.removed_assertions) == (0, 1)
    assert [found.kind for found in facts.weakenings] == ["removed_assertions"]


def test_a_changed_expectation_is_neither_gain_nor_loss() -> None:
    facts = _facts(_diff("tests/test_a.py", "-    assert f(1) == 2\n+    assert f(1) == 3"))
    assert facts.asserting_tests == ()
    assert facts.weakenings == ()


def test_a_test_that_moved_to_another_file_is_not_deleted_and_not_new_evidence() -> None:
    lines = ["def test_moved():", "    assert f(1) == 2"]
    away = _diff("tests/test_a.py", " x\n" + "\n".join(f"-{line}" for line in lines))
    facts = _facts(CODE + away + _new_file("tests/test_b.py", "\n".join(lines)))
    assert facts.deleted_tests == ()
    assert facts.weakenings == ()
    assert facts.asserting_tests == ()


def test_a_test_renamed_in_place_is_not_deleted() -> None:
    facts = _facts(_diff("tests/test_a.py", "-def test_old():\n+def test_new():\n     assert f(1) == 2"))
    assert facts.deleted_tests == ()
    assert facts.new_tests == ("test_new",)


def test_a_test_replaced_by_an_emptier_one_is_deleted() -> None:
    body = "-def test_old():\n-    assert f(1) == 2\n+def test_new():\n+    assert True"
    facts = _facts(_diff("tests/test_a.py", body))
    assert facts.deleted_tests == ("test_old",)


def test_a_deleted_test_file_is_a_weakening_per_test() -> None:
    text = "def test_a():\n    assert f(1)\n\n\ndef test_b():\n    assert f(2)"
    facts = _facts(_deleted_file("tests/test_a.py", text))
    assert facts.deleted_test_files == ("tests/test_a.py",)
    assert facts.test_files == ()
    assert [(one.kind, one.what) for one in facts.weakenings] == [
        ("deleted_test", "test_a"),
        ("deleted_test", "test_b"),
    ]


def test_a_test_renamed_out_of_sight_is_deleted() -> None:
    text = (
        "diff --git a/tests/test_a.py b/tests/a_off.txt\nsimilarity index 100%\n"
        "rename from tests/test_a.py\nrename to tests/a_off.txt\n"
    )
    facts = _facts(text)
    assert facts.deleted_test_files == ("tests/test_a.py",)
    assert [one.kind for one in facts.weakenings] == ["deleted_test"]


def test_code_renamed_to_a_document_is_still_changed_code() -> None:
    text = "diff --git a/a.py b/a.md\nsimilarity index 100%\nrename from a.py\nrename to a.md\n"
    facts = _facts(text)
    assert facts.code_files == ("a.py",)
    assert facts.document_files == ("a.md",)


def test_a_pure_rename_of_a_test_is_a_change_and_no_weakening() -> None:
    text = (
        "diff --git a/tests/test_a.py b/tests/test_b.py\nsimilarity index 100%\n"
        "rename from tests/test_a.py\nrename to tests/test_b.py\n"
    )
    facts = _facts(text)
    assert facts.test_files == ("tests/test_b.py",)
    assert facts.deleted_test_files == ()
    assert facts.weakenings == ()


RUST = """
 pub fn add(a: i32, b: i32) -> i32 {
-    a - b
+    assert!(a < 100);
+    a + b
 }

 #[cfg(test)]
 mod tests {
     use super::*;

+    #[test]
+    fn adds() {
+        assert_eq!(add(1, 2), 3);
+    }
 }
"""


def test_an_inline_rust_test_makes_its_source_file_an_asserting_test() -> None:
    facts = _facts(_diff("src/lib.rs", RUST, start=1))
    assert facts.code_files == ("src/lib.rs",)
    assert facts.asserting_tests == ("src/lib.rs",)
    assert facts.new_tests == ("adds",)
    assert facts.added_assertions == 1, "the assertion in production code is none of a test"


def test_a_cut_rust_hunk_is_test_code_when_its_heading_says_so() -> None:
    body = "     }\n+    #[test]\n+    fn more() {\n+        assert_eq!(add(1, 2), 3);\n+    }"
    assert _facts(_diff("src/lib.rs", body, heading="mod tests {")).asserting_tests == ("src/lib.rs",)
    bare = " fn x() {\n+    assert!(ready());"
    assert _facts(_diff("src/lib.rs", bare, heading="fn other() {")).asserting_tests == ()


def test_assertions_inside_a_docstring_are_none() -> None:
    text = 'def test_a():\n    """Check.\n\n    assert f(1) == 2\n    """\n    f(1)'
    assert _facts(_new_file("tests/test_a.py", text)).added_assertions == 0


def test_a_docstring_that_began_above_the_hunk_hides_what_it_holds() -> None:
    body = ' Some text\n+    assert f(1) == 2\n     """\n     f(1)'
    assert _facts(_diff("tests/test_a.py", body)).added_assertions == 0


def test_a_block_comment_that_began_above_the_hunk_hides_what_it_holds() -> None:
    assert _facts(_diff("src/a.test.ts", " text\n+ expect(f(x)).toBe(1)\n */")).added_assertions == 0


def test_rust_lifetimes_and_go_raw_strings_do_not_hide_assertions() -> None:
    rust = " fn f<'a>(x: &'a str) {}\n+    assert_eq!(f(\"it's\"), y);"
    assert _facts(_diff("tests/a.rs", rust)).added_assertions == 1
    go = ' x := `raw " text`\n+\tassert.Equal(t, got, want)'
    assert _facts(_diff("a_test.go", go)).added_assertions == 1


def test_a_multi_line_assertion_counts_once_and_a_trivial_one_not_at_all() -> None:
    real = "+    assert total(\n+        3,\n+    ) == 6"
    assert _facts(_diff("tests/test_a.py", real)).added_assertions == 1
    trivial = "+    self.assertTrue(\n+        True\n+    )"
    assert _facts(_diff("tests/test_a.py", trivial)).added_assertions == 0


def test_documents_alone_are_documents() -> None:
    facts = _facts(_diff("docs/guide.md", "-old\n+assert f(x) == 1") + _diff("pyproject.toml", "-a\n+b"))
    assert facts.document_files == ("docs/guide.md",)
    assert facts.other_files == ("pyproject.toml",)
    assert not facts.code_files
    assert not facts.is_empty


@pytest.mark.parametrize("text", ["", "\n", "\n\n"])
def test_an_empty_diff_changes_nothing(text: str) -> None:
    assert _facts(text).is_empty


def test_quoted_names_with_octal_escapes_are_decoded() -> None:
    name = '"a/src/\\303\\244 b\\t.py"'
    text = f"diff --git {name} {name.replace('a/', 'b/', 1)}\nold mode 100644\nnew mode 100755\n"
    assert _facts(text).code_files == ("src/ä b�.py",)


def test_a_mode_change_of_a_name_with_spaces_is_read() -> None:
    text = "diff --git a/my file.py b/my file.py\nold mode 100644\nnew mode 100755\n"
    assert _facts(text).code_files == ("my file.py",)


def test_a_binary_code_file_is_changed_code_and_a_binary_test_is_weakened() -> None:
    def binary(path: str) -> str:
        head = f"diff --git a/{path} b/{path}\nindex 1111111..2222222 100644\n"
        return head + f"Binary files a/{path} and b/{path} differ\n"

    assert _facts(binary("src/app.py")).code_files == ("src/app.py",)
    facts = _facts(binary("tests/test_a.py"))
    assert facts.asserting_tests == ()
    assert [one.kind for one in facts.weakenings] == ["removed_assertions"]


def test_a_git_binary_patch_is_walked_over() -> None:
    text = (
        "diff --git a/logo.png b/logo.png\nindex 1111111..2222222 100644\nGIT binary patch\n"
        "literal 10\nRcmZQzWMT#Y01f~L\n\nliteral 5\nMcmZQzWMT\n\n"
    )
    assert _facts(text + CODE).other_files == ("logo.png",)


def test_a_link_named_like_a_test_asserts_nothing() -> None:
    text = _new_file("tests/test_a.py", "assert f(x) == 1").replace("100644", "120000")
    facts = _facts(text)
    assert facts.asserting_tests == ()
    assert facts.other_files == ("tests/test_a.py",)


def test_a_submodule_counts_as_code() -> None:
    text = _new_file("vendor/lib", "Subproject commit 1111").replace("100644", "160000")
    assert _facts(text).code_files == ("vendor/lib",)


def test_an_empty_new_file_is_read() -> None:
    text = "diff --git a/a.py b/a.py\nnew file mode 100644\nindex 0000000..e69de29\n"
    assert _facts(text).code_files == ("a.py",)


def test_windows_line_ends_and_missing_newlines_are_read() -> None:
    text = _diff("tests/test_a.py", " x\n-    assert f(1)\n+    assert f(1)\n+    assert f(2)")
    text = text.replace("-    assert f(1)\n", "-    assert f(1)\n\\ No newline at end of file\n")
    for form in (text, text.replace("\n", "\r\n")):
        facts = _facts(form)
        assert facts.asserting_tests == ("tests/test_a.py",)
        assert (facts.added_assertions, facts.removed_assertions) == (2, 1)


def test_a_plain_unified_diff_with_times_is_read() -> None:
    text = "--- src/a.py\t2024-01-01 10:00:00\n+++ src/a.py\t2024-01-02 10:00:00\n@@ -1 +1 @@\n-a\n+b\n"
    assert _facts(text + text.replace("src/a.py", "README.md")).code_files == ("src/a.py",)


def test_a_mailed_patch_and_a_log_with_patches_are_read() -> None:
    mail = (
        "From 1234567890 Mon Sep 17\nSubject: x\n\n--- not a header\ntext\n---\n a.py | 2 +-\n\n"
        + CODE
        + "-- \n2.39.5\n\n"
    )
    assert _facts(mail + mail).code_files == ("src/app.py",)
    log = "commit 1234567890\nAuthor: A\n\n    - a point\n    + another\n\n" + CODE + "\n"
    assert _facts(log + log).code_files == ("src/app.py",)


def test_removed_lines_that_look_like_headers_stay_in_their_hunk() -> None:
    facts = _facts(_diff("docs/a.md", " x\n--- a/src/evil.py\n+++ b/src/evil.py\n y"))
    assert facts.document_files == ("docs/a.md",)
    assert facts.code_files == ()


HUNK = "diff --git a/a.py b/a.py\nindex 1111111..2222222 100644\n--- a/a.py\n+++ b/a.py\n"
BROKEN = [
    ("fewer lines than counted", HUNK + "@@ -1,3 +1,3 @@\n a\n-b\n+c\n"),
    ("more lines than counted", HUNK + "@@ -1,1 +1,1 @@\n-b\n+c\n+d\n"),
    ("more context than counted", HUNK + "@@ -1,1 +1,1 @@\n-b\n+c\n d\n"),
    ("counts that do not meet", HUNK + "@@ -1,1 +1,2 @@\n a\n b\n"),
    ("a broken hunk header", HUNK + "@@ -1,x +1 @@\n-b\n+c\n"),
    ("a header and no hunk", HUNK),
    ("an index line and no hunk", "diff --git a/a.py b/a.py\nindex 1111111..2222222 100644\n"),
    ("a git line alone", "diff --git a/a.py b/a.py\n"),
    ("half a header", "--- a/a.py\n"),
    ("a hunk of no file", "@@ -1 +1 @@\n-a\n+b\n"),
    ("text inside a hunk", HUNK + "@@ -1,2 +1,2 @@\n a\nhello\n"),
    ("a name that contradicts", HUNK.replace("+++ b/a.py", "+++ b/a.md") + "@@ -1 +1 @@\n-a\n+b\n"),
    ("text after a hunk", HUNK + "@@ -1 +1 @@\n-a\n+b\nhello\n"),
]


@pytest.mark.parametrize("text", [text for _, text in BROKEN], ids=[name for name, _ in BROKEN])
def test_a_diff_that_is_cut_or_lies_is_malformed(text: str) -> None:
    assert _code(text) is UnreadableCode.MALFORMED
    assert _code(CODE + text) is UnreadableCode.MALFORMED


@pytest.mark.parametrize("cut", range(1, len(CODE.splitlines())))
def test_no_cut_of_a_diff_reads_as_a_smaller_change(cut: int) -> None:
    text = "".join(CODE.splitlines(keepends=True)[:cut])
    assert _code(text) in (UnreadableCode.MALFORMED, UnreadableCode.UNKNOWN_FORMAT)


@pytest.mark.parametrize(
    "text", ["hello", '{"has_tests": true}', "\x00\x01\x02\xff", "+++ only\n", "<xml/>\n"]
)
def test_text_that_is_no_diff_is_refused(text: str) -> None:
    assert _code(text) in (UnreadableCode.UNKNOWN_FORMAT, UnreadableCode.MALFORMED)


@pytest.mark.parametrize(
    "text",
    [
        "diff --cc a.py\nindex 1,2..3\n--- a/a.py\n+++ b/a.py\n@@@ -1,1 -1,1 +1,2 @@@\n  a\n++b\n",
        "diff --combined a.py\n",
    ],
)
def test_a_combined_diff_is_refused_with_the_reason(text: str) -> None:
    problem = _read(text)
    assert isinstance(problem, Unreadable)
    assert problem.code is UnreadableCode.UNKNOWN_FORMAT
    assert "combined" in problem.detail


def test_each_limit_has_its_own_code() -> None:
    assert _code(CODE, ReadLimits(max_bytes=50)) is UnreadableCode.TOO_LARGE
    assert _code(CODE, ReadLimits(max_items=3)) is UnreadableCode.TOO_MANY
    assert _code(CODE, ReadLimits(max_seconds=-1)) is UnreadableCode.TOO_SLOW


def test_bytes_that_are_no_text_do_not_stop_the_reader() -> None:
    raw = CODE.encode() + _diff("tests/test_a.py", " x\n+    assert f(1)").encode().replace(
        b" x\n", b" \xff\xfe\n"
    )
    assert _facts(raw).asserting_tests == ("tests/test_a.py",)
