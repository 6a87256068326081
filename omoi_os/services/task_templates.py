"""The built-in tasks of each phase, in the specification's form."""

from __future__ import annotations

from typing import Any, Final

from omoi_os.domain.phases import Phase

PHASE_TASK_TEMPLATES: Final[dict[Phase, list[dict[str, Any]]]] = {
    Phase.REQUIREMENTS: [
        {
            "task_type": "analyze_requirements",
            "description_template": "Analyze and clarify requirements for: {ticket_title}",
            "priority": "HIGH",
            "capabilities": ["analysis"],
        },
        {
            "task_type": "create_requirements_doc",
            "description_template": "Create requirements document for: {ticket_title}",
            "priority": "MEDIUM",
            "capabilities": ["documentation"],
        },
    ],
    Phase.DESIGN: [
        {
            "task_type": "design_architecture",
            "description_template": "Design architecture for: {ticket_title}",
            "priority": "HIGH",
            "capabilities": ["design"],
        },
    ],
    Phase.IMPLEMENTATION: [
        {
            "task_type": "implement_feature",
            "description_template": "Implement feature: {ticket_title}",
            "priority": "HIGH",
            "capabilities": ["implementation"],
        },
    ],
    Phase.TESTING: [
        {
            "task_type": "write_tests",
            "description_template": "Write tests for: {ticket_title}",
            "priority": "HIGH",
            "capabilities": ["testing"],
        },
        {
            "task_type": "run_tests",
            "description_template": "Run test suite for: {ticket_title}",
            "priority": "MEDIUM",
            "capabilities": ["testing"],
            "depends_on": ["write_tests"],
        },
    ],
    Phase.DEPLOYMENT: [
        {
            "task_type": "deploy_feature",
            "description_template": "Deploy feature: {ticket_title}",
            "priority": "CRITICAL",
            "capabilities": ["deployment"],
        },
    ],
}
