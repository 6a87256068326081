"""The rules: pure functions from measured evidence to findings, one module per kind of evidence."""

from omoi_os.domain.rules.gate import Artifact, Facts, Measured, OpenTask, TaskFacts, gate_findings

__all__ = ["Artifact", "Facts", "Measured", "OpenTask", "TaskFacts", "gate_findings"]
