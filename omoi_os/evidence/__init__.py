"""Readers that turn reports, documents and diffs into facts.

A reader never raises for bad input: it returns `Unreadable` with a stable code.
Each reader is bounded in bytes, depth, count and time by its `ReadLimits`.
"""
