"""A judge that asks for the money before it begins, and says afterwards what it cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self
from uuid import UUID

import structlog

from omoi_os.domain.judging import JudgeQuestion, Opinion, no_opinion
from omoi_os.domain.policy import JudgePolicy
from omoi_os.errors import OmoiError
from omoi_os.services.budgets import BudgetService, Reservation
from omoi_os.services.judging import AgentJudge
from omoi_os.settings import Settings

log = structlog.get_logger(__name__)

SPENT: Final = "budget_spent"
"""The code of an opinion for which there was no money: no model was asked."""


@dataclass(frozen=True, slots=True)
class BudgetedJudge:
    """An agent's opinions within the money of a day, for all processes on the database together.

    The most that the policy lets each conversation cost is reserved before the first one begins, and settled
    when the last one has ended. Whatever ends the process in between leaves it reserved.
    """

    judge: AgentJudge
    budgets: BudgetService

    @classmethod
    def opened(cls, settings: Settings, budgets: BudgetService) -> Self | AgentJudge:
        """The judge that the settings describe; one whose money is not limited asks for none.

        Raises:
            PromptsInvalid: The team's folder of prompts cannot be used.
        """
        judge = AgentJudge.opened(settings, budgets.pace)
        return judge if budgets.limits.usd_per_day is None else cls(judge, budgets)

    @property
    def configured(self) -> bool:
        return self.judge.configured

    @property
    def prompts_digest(self) -> str:
        return self.judge.prompts_digest

    def models(self, policy: JudgePolicy) -> str:
        return self.judge.models(policy)

    def opinion(
        self,
        question: JudgeQuestion,
        root: Path | None,
        policy: JudgePolicy,
        *,
        conversation_id: UUID | None = None,
    ) -> Opinion:
        most = self.judge.most_usd(policy)
        if most is None:
            why = "a budget per day needs a limit of cost for each conversation"
            return self._none(no_opinion("misconfigured", why))
        reserved = self.budgets.reserve(most)
        if reserved is None:
            return self._none(self._refused(most))
        opinion = self.judge.opinion(question, root, policy, conversation_id=conversation_id)
        self._settle(reserved, self.judge.cost_of(opinion))
        return opinion

    def stop(self, conversation_id: UUID) -> None:
        self.judge.stop(conversation_id)

    def _none(self, opinion: Opinion) -> Opinion:
        return replace(opinion, prompts=self.prompts_digest)

    def _refused(self, most: float) -> Opinion:
        state = self.budgets.state()
        cap = state.usd_per_day or 0.0
        if most > cap:
            why = f"one review may cost ${most:,.2f}, and all of a day together ${cap:,.2f}"
            return no_opinion(SPENT, why)
        why = (
            f"of ${cap:,.2f} for today ${state.spent_usd:,.2f} are spent and ${state.reserved_usd:,.2f}"
            f" reserved, and a review may cost ${most:,.2f}; the budget begins anew at"
            f" {state.begins_anew:%Y-%m-%d %H:%M} UTC"
        )
        return no_opinion(SPENT, why, can_retry=True)

    def _settle(self, reserved: Reservation, cost: float | None) -> None:
        """An opinion that was paid for is not lost because its cost cannot be written down."""
        try:
            self.budgets.settle(reserved, cost)
        except OmoiError as error:
            log.warning("reservation_not_settled", reservation=reserved.id, error=error.code)
