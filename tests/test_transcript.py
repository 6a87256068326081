"""What was said in a review, for people: readable, without secrets, bounded, and never a reason to fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from omoi_os.errors import NotFound
from omoi_os.judge.transcript import EntryKind, Transcript, read_transcript

SECRET = "sk-live-0123456789abcdef"


def message(text: str, source: str = "user") -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    return {"kind": "MessageEvent", "source": source, "llm_message": {"role": source, "content": content}}


def call(tool: str, arguments: str, thought: str = "") -> dict[str, Any]:
    thoughts = [{"type": "text", "text": thought}] if thought else []
    tool_call = {"id": "1", "name": tool, "arguments": arguments}
    return {"kind": "ActionEvent", "thought": thoughts, "tool_name": tool, "tool_call": tool_call}


def shown(tool: str, text: str) -> dict[str, Any]:
    observation = {"content": [{"type": "text", "text": text}], "is_error": False}
    return {"kind": "ObservationEvent", "tool_name": tool, "observation": observation}


def written(folder: Path, *events: dict[str, Any] | str, state: object = None) -> Path:
    (folder / "events").mkdir(parents=True)
    for number, event in enumerate(events):
        content = (
            event if isinstance(event, str) else json.dumps({"timestamp": "2030-01-01T00:00:00", **event})
        )
        (folder / "events" / f"event-{number:05}-x.json").write_text(content)
    if state is not None:
        (folder / "base_state.json").write_text(json.dumps(state))
    return folder


def told(transcript: Transcript) -> list[tuple[EntryKind, str]]:
    return [(entry.kind, entry.text) for entry in transcript.entries]


def test_a_conversation_reads_from_its_question_to_its_answer(tmp_path: Path) -> None:
    system = {"kind": "SystemPromptEvent", "system_prompt": {"type": "text", "text": "You review."}}
    folder = written(
        tmp_path / "t",
        system,
        message("Review this."),
        call("read_file", '{"path": "plan.md"}', "Let me look."),
        shown("read_file", "1| # Plan\n2| x"),
        message("It is fine.", "agent"),
        {"kind": "AgentErrorEvent", "tool_name": "bash", "error": "there is no such tool"},
        call("read_file", '{"path": "plan.md"}'),
        call("finish", '{"answers": []}'),
        {"kind": "ConversationErrorEvent", "code": "LLMRateLimitError", "detail": "slow down"},
    )
    found = read_transcript(folder)
    assert told(found) == [
        (EntryKind.INSTRUCTIONS, "You review."),
        (EntryKind.ASKED, "Review this."),
        (EntryKind.CALLED, 'Let me look.\n{"path": "plan.md"}'),
        (EntryKind.SHOWN, "1| # Plan\n2| x"),
        (EntryKind.SAID, "It is fine."),
        (EntryKind.ERROR, "there is no such tool"),
        (EntryKind.CALLED, '{"path": "plan.md"}'),
        (EntryKind.CALLED, '{"answers": []}'),
        (EntryKind.ERROR, "LLMRateLimitError: slow down"),
    ]
    assert found.files_read == ("plan.md",)
    assert found.entries[2].tool == "read_file"
    assert json.dumps(found.as_dict())


def test_what_it_took_is_told_and_an_unknown_cost_is_not_zero(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    metrics = {"accumulated_token_usage": usage, "response_latencies": [{"latency": 1.0}] * 3}
    known = {"stats": {"usage_to_metrics": {"a": {**metrics, "accumulated_cost": 0.5}}}}
    unknown = {"stats": {"usage_to_metrics": {"a": metrics}}}
    priced = read_transcript(written(tmp_path / "known", message("x"), state=known))
    unpriced = read_transcript(written(tmp_path / "unknown", message("x"), state=unknown))
    assert (priced.prompt_tokens, priced.completion_tokens, priced.llm_calls) == (7, 2, 3)
    assert (priced.cost_usd, unpriced.cost_usd) == (0.5, None)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\rb\tc", "a\\rb\\tc"),
        ("a\u202eb\u200bc", "a\\u202eb\\u200bc"),
        ("a\x00b\x7f", "a\\x00b\\x7f"),
        ("two\nlines", "two\nlines"),
        ("\U000e0041x", "\\U000e0041x"),
    ],
)
def test_what_is_not_seen_is_shown(tmp_path: Path, text: str, seen: str) -> None:
    assert told(read_transcript(written(tmp_path / "t", message(text)))) == [(EntryKind.ASKED, seen)]


def test_secrets_are_taken_out_of_everything_that_is_shown(tmp_path: Path) -> None:
    folder = written(
        tmp_path / "t",
        message(f"key {SECRET}"),
        call("read_file", json.dumps({"path": f"{SECRET}.md"}), SECRET),
        shown("read_file", f"{'x' * 2_990}{SECRET}{'y' * 9_000}"),
        {"kind": "AgentErrorEvent", "tool_name": SECRET, "error": f"bearer {SECRET}"},
        {"kind": "ConversationErrorEvent", "code": "X", "detail": f"Incorrect API key provided: {SECRET}"},
    )
    found = read_transcript(folder, SECRET)
    everything = json.dumps(found.as_dict())
    assert SECRET not in everything
    assert SECRET[:12] not in everything  # no cut runs through one
    assert found.files_read == ("[redacted].md",)


def test_passwords_that_nobody_named_are_taken_out_too(tmp_path: Path) -> None:
    folder = written(tmp_path / "t", message("postgresql://u:hunter2hunter2@db/x and token=abcdefgh12345"))
    assert "hunter2" not in read_transcript(folder).entries[0].text
    assert "abcdefgh" not in read_transcript(folder).entries[0].text


def test_a_long_conversation_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    folder = written(tmp_path / "t", *(message(f"m{number}") for number in range(700)), message("z" * 50_000))
    found = read_transcript(folder)
    assert (len(found.entries), found.left_out) == (500, 201)
    assert found.entries[0].text == "m0"
    assert found.entries[-2].text == "m699"
    assert len(found.entries[-1].text) < 6_100
    assert "44,000 characters" in found.entries[-1].text


@pytest.mark.parametrize(
    "content", ["", "{", "null", "[]", '{"tool_call": 3}', '{"thought": [1]}', "[" * 100_000, "\udcff"]
)
def test_a_broken_entry_says_so_and_the_others_are_shown(tmp_path: Path, content: str) -> None:
    folder = written(tmp_path / "t", "", message("after"), state=[])
    (folder / "events" / "event-00000-x.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert told(read_transcript(folder)) == [
        (EntryKind.UNREADABLE, "this entry cannot be read"),
        (EntryKind.ASKED, "after"),
    ]


def test_an_entry_of_a_new_kind_is_named(tmp_path: Path) -> None:
    assert told(read_transcript(written(tmp_path / "t", {"kind": "Condensation"}))) == [
        (EntryKind.UNREADABLE, "an entry of the kind Condensation")
    ]


def test_a_transcript_that_is_gone_is_not_found(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none", written(tmp_path / "empty")):
        with pytest.raises(NotFound):
            read_transcript(folder)
