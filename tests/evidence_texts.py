"""Evidence as agents hand it in: small, real, and varied by the tests."""

from __future__ import annotations

REQUIREMENTS = """# Password reset

## Scope

A person who forgot the password can set a new one through a link that is sent by mail. Accounts that are
managed by a company's directory are out of scope, and so is the change of the mail address itself. The link
works once and for thirty minutes, and asking for another one makes the earlier ones useless.

## Acceptance criteria

- Asking for a reset answers the same, at the same speed, whether the address is known or not.
- A link that was used, or is older than thirty minutes, shows what to do instead.
- After the change all other sessions of the account are closed, and the person is told by mail.
- Five requests for one address within an hour are the most that send a mail.
"""

DESIGN = """# Password reset: how it is built

## Architecture

The web application writes a reset request with the hash of a random token; a worker sends the mail. The token
itself is only in the mail, so that a copy of the database opens no account. The page behind the link asks
for the new password, and one transaction marks the request as used, stores the password and closes sessions.

## Decisions

- Requests are rows and not signed links, because a row can be used once and taken back.
- The answer to an unknown address is sent after the same work as for a known one, so its time tells nothing.
- Mails are sent by the worker, so that a slow mail server does not hold up the page.
"""


def junit(passed: int = 3, failed: int = 0, skipped: int = 0, errors: int = 0) -> str:
    """A JUnit report with so many cases of each kind."""
    cases = [f'<testcase classname="t" name="ok_{n}" time="0.01"/>' for n in range(passed)]
    cases += [
        f'<testcase classname="t" name="bad_{n}"><failure message="x">x</failure></testcase>'
        for n in range(failed)
    ]
    cases += [
        f'<testcase classname="t" name="odd_{n}"><error message="x"/></testcase>' for n in range(errors)
    ]
    cases += [f'<testcase classname="t" name="no_{n}"><skipped/></testcase>' for n in range(skipped)]
    total = passed + failed + skipped + errors
    return (
        f'<?xml version="1.0"?><testsuites><testsuite name="s" tests="{total}" failures="{failed}" '
        f'errors="{errors}" skipped="{skipped}">{"".join(cases)}</testsuite></testsuites>'
    )


def lcov(covered: int, total: int, path: str = "src/reset.py") -> str:
    """An lcov report on one file."""
    lines = "".join(f"DA:{n},{1 if n <= covered else 0}\n" for n in range(1, total + 1))
    return f"TN:\nSF:{path}\n{lines}LF:{total}\nLH:{covered}\nend_of_record\n"


CODE = """diff --git a/src/reset.py b/src/reset.py
--- a/src/reset.py
+++ b/src/reset.py
@@ -1,2 +1,3 @@
 def reset(token):
-    return None
+    request = find(token)
+    return request.use()
"""

TESTS = """diff --git a/tests/test_reset.py b/tests/test_reset.py
new file mode 100644
--- /dev/null
+++ b/tests/test_reset.py
@@ -0,0 +1,5 @@
+from src.reset import reset
+
+
+def test_a_token_works_once():
+    assert reset("used") is None
"""

TEST_WITHOUT_ASSERTION = """diff --git a/tests/test_reset.py b/tests/test_reset.py
new file mode 100644
--- /dev/null
+++ b/tests/test_reset.py
@@ -0,0 +1,5 @@
+from src.reset import reset
+
+
+def test_reset():
+    reset("token")
"""

DOCUMENTATION = """diff --git a/docs/reset.md b/docs/reset.md
--- a/docs/reset.md
+++ b/docs/reset.md
@@ -1 +1,2 @@
 # Reset
+How to set a new password.
"""
