"""With 100,000 tasks, nine in ten of them completed, no choice of the queue reads the table as a whole.

`pytest -m slow -n 0 -s tests/test_queue_plans.py` prints the plans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.rows import TupleRow
from sqlalchemy import text

from omoi_os.models.phases import Phase
from omoi_os.services.agent_health import AgentHealthService
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PhaseGateService
from omoi_os.services.review_requests import ReviewRequests
from omoi_os.services.task_queue import TaskFilter, TaskQueueService
from tests.queue_tasks import new_ticket

pytestmark = pytest.mark.slow

TASKS = 100_000

# Of every hundred: ninety completed, two waiting, four ready, two in flight, two failed.
FILL = """
INSERT INTO tasks (id, ticket_id, phase_id, task_type, priority, status, dependencies, assigned_agent_id,
                   error_message, timeout_seconds, created_at, assigned_at, completed_at)
SELECT 'task-' || n, :ticket || n % 1000,
       'PHASE_' || (ARRAY['DESIGN', 'IMPLEMENTATION', 'TESTING'])[1 + n % 3],
       'work', (ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'])[1 + n % 4], status,
       CASE WHEN n % 100 IN (90, 91)
            THEN jsonb_build_object('depends_on', jsonb_build_array('task-' || n + 2)) END,
       CASE WHEN status <> 'pending' THEN 'agent-' || n % 50 END,
       CASE status WHEN 'failed' THEN (ARRAY['timeout', 'Permission denied'])[1 + n % 2] END, 60,
       clock_timestamp() - (:count - n) * interval '1 second',
       CASE WHEN status <> 'pending' THEN clock_timestamp() - (n % 7) * interval '20 seconds' END,
       CASE WHEN status IN ('completed', 'failed') THEN clock_timestamp() END
FROM generate_series(1, :count) n CROSS JOIN LATERAL (SELECT CASE
    WHEN n % 100 < 90 THEN 'completed' WHEN n % 100 < 96 THEN 'pending'
    WHEN n % 100 < 98 THEN 'assigned' ELSE 'failed' END) AS made (status)
"""

Ask = Callable[[TaskQueueService], object]
ASKED: dict[str, Ask] = {
    "the next task": lambda queue: queue.get_next_task(),
    "the next task of a phase": lambda queue: queue.get_next_task(Phase.TESTING),
    "a claim": lambda queue: queue.claim_next_task("agent-1"),
    "a claim in a phase": lambda queue: queue.claim_next_task("agent-1", Phase.TESTING, ["python"]),
    "what a task blocks": lambda queue: queue.get_blocked_tasks("task-92"),
    "whether all it waits for is done": lambda queue: queue.check_dependencies_complete("task-90"),
    "a circle": lambda queue: queue.detect_circular_dependencies("task-90", ["task-91"]),
    "what is late": lambda queue: queue.get_timed_out_tasks(),
    "what may be retried": lambda queue: queue.get_retryable_tasks(),
    "what may be retried in a phase": lambda queue: queue.get_retryable_tasks(Phase.TESTING),
    "what is in flight": lambda queue: queue.get_cancellable_tasks(),
    "what an agent has": lambda queue: queue.get_assigned_tasks("agent-46"),
    "the newest": lambda queue: queue.list_tasks(),
    "the newest of a status": lambda queue: queue.list_tasks(TaskFilter(status="completed")),
    "the newest of a ticket": lambda queue: queue.list_tasks(TaskFilter(ticket_id="ticket-7")),
    "the newest of a phase": lambda queue: queue.list_tasks(TaskFilter(phase_id=Phase.TESTING)),
    "a move": lambda queue: queue.update_task_status("task-94", "running"),
    "a cancellation, and what waits": lambda queue: queue.cancel_task("task-92"),
    "a reset": lambda queue: queue.reset_task("task-99"),
    "a retry of all": lambda queue: queue.retry_failed_tasks(),
    "what others blocked": lambda queue: queue.fail_blocked_tasks(),
    "where nobody can go on": lambda queue: _requests(queue.db).at_dead_ends(),
    "silent agents": lambda queue: AgentHealthService(queue.db).cleanup_stale_agents(0),
}


def _requests(db: DatabaseService) -> ReviewRequests:
    return ReviewRequests(db, PhaseGateService(db))


@pytest.fixture(scope="module")
def plans(_database: DatabaseService) -> Iterator[dict[str, list[str]]]:
    """By what is asked, the plans of the statements that ran, as they are used."""
    db = _database
    ticket = new_ticket(db)
    try:
        with db.get_session() as session:
            copied = "title, phase_id, status, priority, created_at, updated_at"
            session.execute(
                text(
                    f"INSERT INTO tickets (id, {copied}) SELECT 'ticket-' || n, {copied} "
                    "FROM tickets, generate_series(0, 999) n WHERE id = :id"
                ),
                {"id": ticket},
            )
            session.execute(text(FILL), {"ticket": "ticket-", "count": TASKS})
            session.execute(
                text(
                    "INSERT INTO agents (id, agent_type, status, created_at) "
                    "SELECT 'agent-' || n, 'worker', 'running', clock_timestamp() "
                    "FROM generate_series(0, 49) n"
                )
            )
        with db.single_statements() as connection:
            connection.execute("VACUUM ANALYZE tasks, agents, tickets")
        watched = DatabaseService(db.engine.url.render_as_string(hide_password=False), pool_size=1)
        with watched.single_statements() as connection:
            connection.prepare_threshold = 0  # so that the server knows every statement by name
        yield {name: _plans_of(watched, ask) for name, ask in ASKED.items()}
        watched.close()
    finally:
        with db.get_session() as session:
            for table in ("events", "tasks", "agents", "tickets"):
                session.execute(text(f"DELETE FROM {table}"))


def _plans_of(db: DatabaseService, ask: Ask) -> list[str]:
    with db.single_statements() as connection:
        connection.prepare_threshold = None
        before = _prepared(connection)
        connection.prepare_threshold = 0
    ask(TaskQueueService(db))
    with db.single_statements() as connection:
        connection.prepare_threshold = None
        asked = {name: count for name, count in _prepared(connection).items() if name not in before}
        plans = []
        for name, count in asked.items():
            nothing = f"({', '.join(['NULL'] * count)})" if count else ""
            rows = connection.execute(f'EXPLAIN EXECUTE "{name}"{nothing}').fetchall()
            plans.append("\n".join(row[0] for row in rows))
        connection.prepare_threshold = 0
    return plans


def _prepared(connection: psycopg.Connection[TupleRow]) -> dict[str, int]:
    """Names of the statements about tasks that the server knows, and how many values they take."""
    asked = "SELECT name, cardinality(parameter_types) FROM pg_prepared_statements WHERE statement ~ 'tasks'"
    return dict(connection.execute(asked).fetchall())


@pytest.mark.parametrize("name", ASKED)
def test_an_index_answers(plans: dict[str, list[str]], name: str) -> None:
    assert plans[name]
    for plan in plans[name]:
        print(f"\n== {name}\n{plan}")  # noqa: T201
        assert "Seq Scan on tasks" not in plan
        assert "Index" in plan
