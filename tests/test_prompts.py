"""What a judge is told, word for word, and what a folder of prompts must be to be used.

The rendered prompts stand in tests/prompts. After a change that is meant, write them anew and read the
difference: OMOI_WRITE_PROMPTS=1 uv run pytest -n0 tests/test_prompts.py
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from omoi_os.domain.judging import ArtifactText, Claim, Fence, JudgeQuestion, criteria_for
from omoi_os.domain.phases import Phase
from omoi_os.domain.policy import JudgePolicy
from omoi_os.domain.verdict import Finding, Outcome
from omoi_os.judge.examine import Examiner
from omoi_os.judge.prompts import PromptSet, PromptsInvalid
from omoi_os.judge.run import Limits, Model
from omoi_os.resources import resource
from omoi_os.services.judging import AgentJudge
from omoi_os.settings import Settings
from omoi_os.utils.tokens import Tokens

SNAPSHOTS = Path(__file__).parent / "prompts"
FENCE = Fence("00000000000000ff", "c0dec0de")
MODEL = Model("openai/none", SecretStr(""))
GATED = [Phase.REQUIREMENTS, Phase.DESIGN, Phase.IMPLEMENTATION, Phase.TESTING, Phase.DEPLOYMENT]


def examiner(prompts: PromptSet | None = None, limits: Limits | None = None) -> Examiner:
    return Examiner(MODEL, limits or Limits(), prompts or PromptSet.load(), Tokens())


def question(phase: Phase) -> JudgeQuestion:
    found = Finding(
        "design_document.min_length", Outcome.PASS, "long_enough", "812 characters", "at least 500"
    )
    return JudgeQuestion(
        phase,
        "Let links expire",
        "A link stops working 30 days after it was made.",
        criteria_for(phase, JudgePolicy()),
        (
            ArtifactText("design_document", "# Links\n\n{{ 7 * 7 }} {% raw %}\n", "docs/design.md"),
            ArtifactText("notes", "Two lines,\nand 00000000000000ff>>> too.\n"),
            ArtifactText("test_coverage", None),
            ArtifactText("test_results", None, "reports/junit.xml", "the file cannot be read as text"),
        ),
        "- decision (requirements): links expire by day, not by hour [task 4]",
        (found,),
        (Claim("design_document.length", "length: 900"), Claim("notes.reviewed", 'reviewed: "by two"')),
    )


BARE = JudgeQuestion(Phase.DESIGN, "Let links expire", "", criteria_for(Phase.DESIGN, JudgePolicy()), ())

RENDERED: dict[str, Callable[[], str]] = {
    "system": lambda: examiner().system(FENCE, reads_files=True),
    "system_without_files": lambda: examiner().system(FENCE, reads_files=False),
    **{
        f"review_{phase.name.lower()}": lambda phase=phase: examiner().review(question(phase), FENCE)  # type: ignore[misc]
        for phase in GATED
    },
    "review_of_nothing": lambda: examiner().review(BARE, FENCE),
    "claims": lambda: examiner().claims(question(Phase.DESIGN), FENCE),
    "repair": lambda: (
        "\n".join(PromptSet.load().repair(["criterion 'a' is not answered", "no\nquote"])) + "\n"
    ),
}


@pytest.mark.parametrize("name", RENDERED)
def test_the_judge_is_told_exactly_this(name: str) -> None:
    snapshot = SNAPSHOTS / f"{name}.txt"
    text = RENDERED[name]()
    if os.environ.get("OMOI_WRITE_PROMPTS") == "1":
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(text)
    assert text == snapshot.read_text()
    assert text == RENDERED[name]()


def test_every_snapshot_is_of_a_prompt() -> None:
    assert {path.stem for path in SNAPSHOTS.iterdir()} == set(RENDERED)


def test_texts_under_review_are_never_read_as_templates() -> None:
    text = examiner().review(question(Phase.DESIGN), FENCE)
    assert "{{ 7 * 7 }} {% raw %}" in text
    assert "49" not in text


def test_claims_are_not_in_the_first_message() -> None:
    text = examiner().review(question(Phase.DESIGN), FENCE)
    assert "900" not in text
    assert "by two" not in text


def test_all_that_is_not_ours_stands_in_fences() -> None:
    text = examiner().review(question(Phase.DESIGN), FENCE)
    outside = re.sub(rf"<<<{FENCE.nonce}.*?\n{FENCE.nonce}>>>", "", text, flags=re.DOTALL)
    assert FENCE.nonce not in outside
    for word in (
        "Let links expire",
        "30 days",
        "# Links",
        "Two lines",
        "812 characters",
        "by day",
        "junit.xml",
    ):
        assert word in text
        assert word not in outside


def test_a_small_limit_of_tokens_makes_the_artifacts_small() -> None:
    long = "".join(f"Line {number} says something else.\n" for number in range(20_000))
    asked = JudgeQuestion(Phase.DESIGN, "t", "", BARE.criteria, (ArtifactText("d", long, "d.md"),))
    tokens = Tokens()
    sizes = [
        tokens.count(examiner(limits=Limits(max_tokens=limit)).review(asked, FENCE), 1_000_000)
        for limit in (50_000, 5_000_000)
    ]
    assert sizes[0] < 50_000 // 16 + 600
    assert 23_000 < sizes[1] < 24_000 + 600


# A team's own folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(resource("prompts") / "judge", tmp_path / "prompts"))


def changed(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / f"{name}.md.j2"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_copy_of_the_prompts_has_their_digest(folder: Path) -> None:
    assert PromptSet.load(folder).digest == PromptSet.load().digest


def test_a_team_may_bring_some_files_and_pieces_to_include(tmp_path: Path) -> None:
    tmp_path.joinpath("design.md.j2").write_text(
        '{# version 1 #}\n{% block look_for %}Ours: {% include "_house.md.j2" %}{% endblock %}\n'
    )
    tmp_path.joinpath("_house.md.j2").write_text("house rules")
    prompts = PromptSet.load(tmp_path)
    assert prompts.phase_words(Phase.DESIGN) == "Ours: house rules\n"
    assert prompts.phase_words(Phase.TESTING) == PromptSet.load().phase_words(Phase.TESTING)
    before = prompts.digest
    tmp_path.joinpath("_house.md.j2").write_text("other rules")
    assert PromptSet.load(tmp_path).digest != before != PromptSet.load().digest


BLOCKS = (
    [("system", block) for block in ("role", "data", "answers", "quotes", "finish")]
    + [("review", block) for block in ("ticket", "phase", "context", "measured", "artifacts", "criteria")]
    + [
        ("claims", "claims"),
        ("claims", "answers"),
        ("repair", "problems"),
        *((phase.name.lower(), "look_for") for phase in GATED),
    ]
)


@pytest.mark.parametrize(("name", "block"), BLOCKS)
def test_a_template_that_lost_a_block_is_refused(folder: Path, name: str, block: str) -> None:
    changed(folder, name, f"block {block} ", f"block {block}_no_more ")
    with pytest.raises(PromptsInvalid, match=rf"{name}.md.j2: it needs a block '{block}'"):
        PromptSet.load(folder)


@pytest.mark.parametrize(("name", "block"), BLOCKS)
def test_a_block_that_says_nothing_is_refused(folder: Path, name: str, block: str) -> None:
    path = folder / f"{name}.md.j2"
    text = re.sub(
        rf"({{% block {block} %}}\n).*?({{% endblock %}})",
        r"\1 \n\2",
        path.read_text(),
        count=1,
        flags=re.DOTALL,
    )
    path.write_text(text)
    with pytest.raises(PromptsInvalid, match=f"{block!r} that says something"):
        PromptSet.load(folder)


BROKEN: list[tuple[str, str, str, str]] = [
    ("review", "{{ ticket }}", "the ticket", "its block 'ticket' does not show 'ticket'"),
    ("review", "{{ criterion.id }}", "-", "its block 'criteria' does not show 'id'"),
    ("review", "{{ artifact }}", "{{ artifacts[0] }}", "its block 'artifacts' does not show 'second'"),
    ("system", "{{ nonce }}", "---", "its block 'data' does not show 'nonce'"),
    ("system", "{{ code }}", "---", "its block 'finish' does not show 'code'"),
    ("system", "cannot_tell", "perhaps", "does not show 'cannot_tell'"),
    ("review", "{{ ticket }}", "{{ tickett }}", "'tickett' is undefined"),
    ("review", "{{ ticket }}", "{{ ticket }}{{ claims }}", "'claims' is undefined"),
    ("review", "{{ ticket }}", "{{ ticket.strip }", r"review.md.j2, line \d+"),
    ("review", "{% endif %}", "", r"review.md.j2, line \d+"),
    ("review", "{{ ticket }}", "{{ ticket }}{{ 1 / 0 }}", "cannot be rendered"),
    ("review", "{{ ticket }}", "{{ ticket }}{{ ticket.__class__.__mro__ }}", "unsafe"),
    ("review", "{{ ticket }}", "{{ ticket }}{{ cycler.__init__.__globals__.os.environ }}", "unsafe"),
    ("review", "{{ ticket }}", "{{ ticket }}{% include '/etc/passwd' %}", "/etc/passwd"),
    ("review", "{{ ticket }}", "{{ ticket }}{% include '../README.md' %}", "README.md"),
    ("review", "{{ ticket }}", "{{ ticket }}{{ artifacts.clear() }}", "unsafe"),
    ("review", "version 1", "version 2", r"its first line must be \{# version 1 #\}"),
    ("review", "{# version 1 #}", "", r"its first line must be \{# version 1 #\}"),
    ("review", "{% block ticket %}", "{% if false %}{% block ticket %}", "line"),
]


@pytest.mark.parametrize(("name", "old", "new", "problem"), BROKEN)
def test_a_broken_template_is_refused_when_it_is_loaded(
    folder: Path, name: str, old: str, new: str, problem: str
) -> None:
    changed(folder, name, old, new)
    with pytest.raises(PromptsInvalid, match=problem):
        PromptSet.load(folder)


def test_a_block_that_is_never_reached_is_refused(folder: Path) -> None:
    path = folder / "testing.md.j2"
    path.write_text(
        "{# version 1 #}\n{% if false %}{% block look_for %}Look.{% endblock %}{% endif %}\nNothing.\n"
    )
    with pytest.raises(PromptsInvalid, match="needs a block 'look_for'"):
        PromptSet.load(folder)


def test_all_that_is_wrong_is_said_at_once(folder: Path) -> None:
    changed(folder, "review", "{{ ticket }}", "the ticket")
    changed(folder, "claims", "version 1", "version 9")
    with pytest.raises(PromptsInvalid) as refused:
        PromptSet.load(folder)
    assert len(refused.value.message.splitlines()) == 2


def test_a_misspelt_file_is_refused_and_not_left_aside(tmp_path: Path) -> None:
    tmp_path.joinpath("desing.md.j2").write_text("{# version 1 #}")
    with pytest.raises(
        PromptsInvalid, match=r"there is no prompt called desing.md.j2; they are claims.md.j2"
    ):
        PromptSet.load(tmp_path)


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (lambda _: None, "cannot be read"),
        (lambda path: path.mkdir(), "there is no prompt in it"),
        (lambda path: path.write_text("x"), "cannot be read"),
        (lambda path: _with(path, b"\xff\xfe"), "is not UTF-8"),
        (lambda path: _with(path, b"x" * 64_001), "64,000 bytes"),
        (lambda path: (path / "design.md.j2").mkdir(parents=True), "cannot be read"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(
    tmp_path: Path, prepare: Callable[[Path], object], problem: str
) -> None:
    prepare(tmp_path / "own")
    with pytest.raises(PromptsInvalid, match=problem):
        PromptSet.load(tmp_path / "own")


def _with(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "design.md.j2").write_bytes(content)


def test_the_settings_name_the_folder_and_a_broken_one_stops_the_start(folder: Path) -> None:
    changed(folder, "design", "{% block look_for %}", "{% block look_for %}Ours.\n")
    judge = AgentJudge.opened(Settings(prompts=folder))
    assert judge.prompts_digest != PromptSet.load().digest
    changed(folder, "design", "version 1", "version 3")
    with pytest.raises(PromptsInvalid):
        AgentJudge.opened(Settings(prompts=folder))
