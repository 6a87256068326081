"""An agent outside, played: it can run tests and deploy, takes its tasks from the queue and hands them in."""

from __future__ import annotations

from pathlib import Path

from omoi_os.bootstrap import Services
from omoi_os.cli import samples
from omoi_os.cli.demo import pipeline
from omoi_os.cli.demo.record import Differs
from omoi_os.cli.demo.script import Script

CAPABILITIES = ("testing", "deployment")


class Outside:
    """Does what the script says, in the workspace `tree`."""

    def __init__(self, services: Services, script: Script, tree: Path) -> None:
        self.queue = services.queue
        self.script = script
        self.tree = tree
        self.agent_id = services.agents.register("pipeline", capabilities=CAPABILITIES).id

    def does(self, kind: str) -> None:
        """Take the next task, which is of that kind, and hand it in.

        Raises:
            Differs: It is another one, or there is none.
        """
        task = self.queue.claim_next_task(self.agent_id)
        if task is None or task.task_type != kind:
            raise Differs(f"{kind} was not the next task of an agent that offers {', '.join(CAPABILITIES)}")
        work = self.script.outside[kind]
        if work.folder:
            samples.copy(work.folder, self.tree)
        pipeline.run(work, self.tree)
        self.queue.complete_task(task.id, self.agent_id, {"summary": work.says, "artifacts": work.artifacts})
