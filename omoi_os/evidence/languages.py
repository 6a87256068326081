"""Which paths are code, tests, documents or something else, by the conventions of each language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a path is. A support file lives with the tests and is not collected as one."""

    CODE = "code"
    TEST = "test"
    TEST_SUPPORT = "test_support"
    DOCUMENT = "document"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class PathInfo:
    """What the name of a file says about it.

    Attributes:
        language: A key of `testwords.WORDS`, or "" where the content is not looked at.
    """

    kind: Kind
    language: str = ""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_EXTENSIONS = {
    "python": "py pyi pyw",
    "javascript": "js jsx mjs cjs ts tsx mts cts vue svelte",
    "java": "java groovy",
    "kotlin": "kt kts",
    "scala": "scala sc",
    "go": "go",
    "rust": "rs",
    "cpp": "c h cc cpp cxx c++ hh hpp hxx m mm ino cu cuh",
    "csharp": "cs fs vb",
    "ruby": "rb rake",
    "php": "php phtml",
    "swift": "swift",
    "elixir": "ex exs",
    "shell": "sh bash zsh ksh bats fish",
}
LANGUAGE_OF = {extension: name for name, listed in _EXTENSIONS.items() for extension in listed.split()}

# Code whose tests we cannot read: it still asks for tests.
_OTHER_CODE = _set(
    "pyx pxd lua pl pm r jl hs lhs ml mli elm clj cljs cljc edn erl hrl zig nim dart d pas f f90 f95 ada adb"
    " asm s sql ps1 psm1 bat cmd vbs coffee sol move cairo v sv vhd vhdl proto graphql gql tf hcl rego"
    " html htm css scss sass less jsp erb ejs hbs j2 jinja xsl xslt awk tcl el lisp scm rkt cr gleam wat"
    " ipynb astro mdx glsl wgsl hlsl metal cmake gradle nix bzl"
)
CODE_EXTENSIONS = frozenset(LANGUAGE_OF) | _OTHER_CODE
_DOCUMENTS = _set("md markdown rst txt adoc asciidoc org tex pdf docx odt rtf")
_DOCUMENT_NAMES = _set("readme license licence changelog authors contributing notice copying")
_CODE_NAMES = _set("makefile dockerfile containerfile jenkinsfile rakefile gemfile build justfile")
# A build reads these although they end like documents.
_NOT_DOCUMENTS = re.compile(r"(requirements|constraints)[\w.-]*\.txt|cmakelists\.txt|robots\.txt")

_TEST_FOLDERS = _set("test tests testing __tests__ spec specs e2e integration-tests cypress")
_TEST_PROJECT = re.compile(r".+[._-](unit|integration)?tests?|.+(Tests|UITests|Test)")
_FIXTURE_FOLDERS = _set(
    "fixtures fixture __fixtures__ testdata test-data test_data __mocks__ mocks __snapshots__ snapshots"
    " support helpers factories stubs"
)
_SUPPORT = re.compile(
    r"(conftest|__init__|setup|teardown|.*[._-]?(helpers?|utils?|fixtures?|mocks?|factory|factories|support)"
    r"|test[_-]?(case|base|utils?|helpers?)|base[_-]?test|(rails|spec|test)_helper|jest\.(config|setup)|mod|common)",
    re.IGNORECASE,
)

# Each is matched in full against the name without its extension.
_TEST_NAME = {
    "python": re.compile(r"tests?|test[_\d].*|.*_tests?"),
    "javascript": re.compile(r".*[._-](test|tests|spec|specs|e2e|cy)|(test|spec)[._-].*|test"),
    "java": re.compile(r"Test[A-Z_].*|.*(Tests?|TestCase|IT|ITCase|Spec)"),
    "kotlin": re.compile(r"Test[A-Z_].*|.*(Tests?|IT|Spec)"),
    "scala": re.compile(r"Test[A-Z_].*|.*(Tests?|Spec|Suite|Check)"),
    "go": re.compile(r".+_test"),
    "rust": re.compile(r"tests?|.*_tests?|test_.*"),
    "cpp": re.compile(r"(.*[_.-])?(tests?|unittest|spec)|tests?[_-].*|.*(Tests?|Spec)|test_.*"),
    "csharp": re.compile(r".*(Tests?|Specs?|Fixture)|Test[A-Z_].*"),
    "ruby": re.compile(r".*_(spec|test)|test_.*"),
    "php": re.compile(r".*(Test|Cest|_test)"),
    "swift": re.compile(r".*(Tests?|Spec)"),
    "elixir": re.compile(r".*_test"),
    "shell": re.compile(r"(.*[_-])?tests?|tests?[_-].*"),
}
# Here every file in a test folder is collected whatever its name.
_COLLECTED_BY_FOLDER = frozenset({"javascript", "rust", "cpp", "csharp", "php", "shell"})


def describe_path(path: str) -> PathInfo:
    """What a path is; unknown extensions are `OTHER`, which no rule takes as a test."""
    *folders, name = path.split("/")
    stem, _, extension = name.rpartition(".")
    extension = extension.lower()
    language = LANGUAGE_OF.get(extension, "")
    if language:
        return PathInfo(_kind_of_source(folders, stem, extension, language), language)
    if extension in _OTHER_CODE or name.lower() in _CODE_NAMES or stem.lower() in _CODE_NAMES:
        in_tests = bool(_test_folders(folders))
        return PathInfo(Kind.TEST_SUPPORT if in_tests else Kind.CODE)
    if _is_document(name, stem, extension):
        return PathInfo(Kind.DOCUMENT)
    return PathInfo(Kind.OTHER)


def _is_document(name: str, stem: str, extension: str) -> bool:
    if _NOT_DOCUMENTS.fullmatch(name.lower()):
        return False
    return extension in _DOCUMENTS or (stem or name).lower() in _DOCUMENT_NAMES


def _kind_of_source(folders: list[str], stem: str, extension: str, language: str) -> Kind:
    in_tests = _test_folders(folders)
    fixtures = _FIXTURE_FOLDERS.intersection(folder.lower() for folder in folders)
    named_as_test = _TEST_NAME[language].fullmatch(stem) or extension == "bats"
    if fixtures and (in_tests or named_as_test):
        return Kind.TEST_SUPPORT
    if named_as_test and not _SUPPORT.fullmatch(stem):
        # `latest.rs`-like names aside, a header or a script needs no folder to be a test.
        return Kind.TEST
    if not in_tests:
        return Kind.TEST_SUPPORT if stem == "conftest" else Kind.CODE
    if language in _COLLECTED_BY_FOLDER and not _SUPPORT.fullmatch(stem):
        return Kind.TEST
    return Kind.TEST_SUPPORT


def _test_folders(folders: list[str]) -> list[str]:
    return [
        folder for folder in folders if folder.lower() in _TEST_FOLDERS or _TEST_PROJECT.fullmatch(folder)
    ]
