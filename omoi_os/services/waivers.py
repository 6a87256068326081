"""An operator lets one criterion of one gate pass: for exactly what was reviewed, and for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from omoi_os.domain.inputs import Inputs
from omoi_os.domain.verdict import GateStatus
from omoi_os.errors import InvalidInput, NotFound, WaiverNotAllowed
from omoi_os.models.base import check_text, text_limit
from omoi_os.models.gate_waiver import GateWaiver
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.phase_gate import PhaseGateService
from omoi_os.services.queue.base import is_id
from omoi_os.services.tickets import check_id, no_ticket
from omoi_os.store import tickets, waivers


@dataclass(frozen=True, slots=True)
class NewWaiver:
    """What is waived.

    Attributes:
        criterion: A criterion that holds the gate closed now, as its finding names it.
        until: An aware time.
        waived_by: The operator; nobody who worked on the phase.
    """

    criterion: str
    reason: str
    waived_by: str
    until: datetime


class WaiverService:
    """Gives and ends waivers; each stays in the record for ever."""

    def __init__(self, db: DatabaseService, gates: PhaseGateService) -> None:
        self.db = db
        self.gates = gates

    def give(self, ticket_id: str, phase_id: str, new: NewWaiver) -> GateWaiver:
        """Waive a criterion that the last verdict found unmet, as long as nothing changes.

        Raises:
            NotFound: There is no such ticket.
            UnknownPhase, PhaseHasNoGate: The message lists what can be named.
            InvalidInput: The reason is empty, the criterion holds nothing closed, or the end is not within
                the days that the policy allows.
            WaiverNotAllowed: The last verdict is stale or passed, or whoever asks worked on the phase.
        """
        if not new.reason.strip():
            raise InvalidInput("reason: say why the criterion may be waived", field="reason")
        if new.until.tzinfo is None:
            raise InvalidInput("until: write a time with its zone, such as 2030-01-31T12:00Z", field="until")
        for name in ("criterion", "reason", "waived_by"):
            check_text(name, getattr(new, name), text_limit(getattr(GateWaiver, name)))
        if not new.waived_by.strip():
            raise InvalidInput("waived_by: a waiver names who gave it", field="waived_by")
        policy = self.gates.policies.of(phase_id)
        result = self._verdict(ticket_id, policy.phase, new.criterion)
        with self.db.get_session() as session:
            connection = driver_connection(session)
            if not tickets.hold(connection, ticket_id, alone=True):
                raise no_ticket(ticket_id)
            if not self.gates.is_about(result, session=session):
                raise WaiverNotAllowed(
                    "the evidence, the tasks or the waivers changed meanwhile; validate the gate again"
                )
            if waivers.has_worked(connection, ticket_id, policy.phase, new.waived_by):
                raise WaiverNotAllowed(
                    f"{new.waived_by!r} worked on this phase, and cannot waive what is asked of it"
                )
            values = {
                "ticket": ticket_id,
                "phase": policy.phase.value,
                "criterion": new.criterion,
                "reason": new.reason,
                "by": new.waived_by,
                "result": result.id,
                "inputs": (result.validation_result or {})["inputs"],
                "until": new.until,
            }
            waiver = waivers.add(connection, values, days=policy.waiver_max_days)
        if waiver is None:
            raise InvalidInput(
                f"until: write a time that is to come, at most {policy.waiver_max_days} days from now",
                field="until",
            )
        return waiver

    def revoke(self, waiver_id: str, *, reason: str, revoked_by: str) -> GateWaiver:
        """End a waiver before its time; what it let pass is stale from now on.

        Raises:
            NotFound: There is no such waiver.
            InvalidInput: A text cannot be stored.
        """
        check_text("reason", reason, text_limit(GateWaiver.reason))
        check_text("revoked_by", revoked_by, text_limit(GateWaiver.waived_by))
        with self.db.get_session() as session:
            connection = driver_connection(session)
            given = waivers.find(connection, waiver_id) if is_id(waiver_id) else None
            if given is None:
                raise NotFound(f"there is no waiver {waiver_id[:60]!r}", waiver_id=waiver_id[:60])
            values = {
                "ticket": given.ticket_id,
                "phase": given.phase_id,
                "criterion": given.criterion,
                "reason": reason,
                "by": revoked_by,
                "result": given.result_id,
                "inputs": given.inputs,
                "until": given.expires_at,
            }
            ended = waivers.add(connection, values, revokes=given.id)
        assert ended is not None  # noqa: S101 - an end is always added
        return ended

    def of_ticket(self, ticket_id: str) -> list[GateWaiver]:
        """All waivers of a ticket and their ends, the first one first.

        Raises:
            NotFound: There is no such ticket.
        """
        check_id(ticket_id)
        with self.db.single_statements() as connection:
            if tickets.place_of(connection, ticket_id) is None:
                raise no_ticket(ticket_id)
            return waivers.of_ticket(connection, ticket_id)

    def _verdict(self, ticket_id: str, phase_id: str, criterion: str) -> PhaseGateResult:
        """The last verdict of the gate, which must be about now and held closed by the criterion."""
        state = self.gates.check_gate_requirements(ticket_id, phase_id)
        result = self.gates.latest_verdict(ticket_id, phase_id)
        if result is None or state["stale"] or "inputs" not in (result.validation_result or {}):
            why = "; ".join(state["stale_reasons"]) or "it was never reviewed"
            raise WaiverNotAllowed(
                f"there is no verdict on what is there now ({why}); validate the gate first"
            )
        if result.gate_status == GateStatus.PASSED:
            raise WaiverNotAllowed("the gate passed; there is nothing to waive")
        inputs = Inputs.from_dict((result.validation_result or {})["inputs"])
        if inputs is None or not inputs.are_known:
            raise WaiverNotAllowed(
                "the workspace could not be read, so a waiver would be for whatever is in it; mend that first"
            )
        findings = (result.validation_result or {})["findings"]
        holding = list(
            dict.fromkeys(
                item["criterion"]
                for item in findings
                if item["severity"] == "block" and item["outcome"] != "pass" and not item["waiver"]
            )
        )
        if criterion not in holding:
            raise InvalidInput(
                f"criterion: {criterion[:80]!r} does not hold this gate closed; what does: "
                f"{', '.join(holding)}",
                field="criterion",
            )
        return result
