from __future__ import annotations

from omoi_os.services.context_summarizer import ContextSummarizer


def test_summarize_context() -> None:
    context = {"key": "value", "decisions": ["decision1"]}
    summarizer = ContextSummarizer()
    summary = summarizer.summarize_structured(context)
    assert len(summary) > 0
    assert "decision1" in summary


def test_extract_key_points_puts_decisions_first() -> None:
    context = {"notes": ["note1"], "risks": ["risk1"], "decisions": ["decision1", "decision2"]}
    assert ContextSummarizer().extract_key_points(context) == ["decision2", "decision1", "risk1", "note1"]


def test_an_empty_context_has_an_empty_summary() -> None:
    assert ContextSummarizer().summarize_structured({}) == ""
    assert ContextSummarizer().extract_key_points({}) == []
