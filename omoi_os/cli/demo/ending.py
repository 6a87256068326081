"""How the ticket went, in a few lines."""

from __future__ import annotations

from omoi_os.cli.demo.models import JUDGE
from omoi_os.cli.demo.record import Record
from omoi_os.cli.demo.told import judged
from omoi_os.cli.lists import print_rows, short_phase
from omoi_os.judge.scripted import ScriptedModel
from omoi_os.models.phase_history import PhaseHistory


def print_ending(record: Record, models: ScriptedModel) -> None:
    """Each move with the verdicts before it, and what all of it took."""
    out, reviews = record.told.out, record.reviews()

    def row(move: PhaseHistory) -> tuple[str, str, str]:
        statuses = [item.gate_status for item in reviews if item.phase_id == move.from_phase]
        then = f"to {short_phase(move.to_phase)}, by {move.transitioned_by}"
        return short_phase(move.from_phase or ""), ", ".join(statuses) or "no gate", then

    print_rows(out, ("phase", "reviews", "then"), map(row, record.history()))
    out.print()
    judging = sum(request.body["model"] == JUDGE for request in models.requests)
    costs = [judged(item).get("usage", {}).get("cost_usd") for item in reviews]
    known = sum(cost for cost in costs if cost is not None)
    out.print(
        f"{len(reviews)} reviews, and {len(models.requests)} model calls, {judging} of them by judges. "
        f"Cost on record: {f'{known:.2f} USD' if known else 'unknown, as a script has no price'}."
    )
