"""Faults of the gate's core that somebody could make, and the tests that must notice each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Fault:
    """One text in one file, replaced by another.

    Attributes:
        old: Occurs exactly once.
        tests: At least one of them must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


BINDING: Final = "tests/test_verdict_binding.py::test_"
WAIVERS: Final = "tests/test_waivers.py::test_"
GATES: Final = "tests/test_phase_gates.py::test_"
ATTACKS: Final = "tests/test_gate_attacks.py::test_"
MOVES: Final = "tests/test_phase_transitions.py::test_"
RULES: Final = "tests/test_rules.py"

STALE_WORKSPACE: Final = f"{BINDING}a_change_of_the_workspace_makes_the_verdict_stale"
STALE_ROWS: Final = f"{BINDING}a_change_of_artifacts_or_tasks_makes_the_verdict_stale"
STALE_POLICY: Final = f"{BINDING}another_policy_for_the_phase_makes_the_verdict_stale"
IN_TRANSACTION: Final = f"{BINDING}the_transaction_itself_looks_again"
BETWEEN: Final = f"{BINDING}what_changes_between_verdict_and_move_closes_the_gate"

VERDICT: Final = "omoi_os/domain/verdict.py"
RECORD: Final = "omoi_os/services/gate/record.py"
GROUND: Final = "omoi_os/services/gate/ground.py"
GATE: Final = "omoi_os/services/phase_gate.py"
INLINE: Final = "omoi_os/services/gate/inline.py"
STAGES: Final = "omoi_os/services/gate/stages.py"
PHASES: Final = "omoi_os/services/phase_service.py"
STORE: Final = "omoi_os/store/gates.py"
REVIEWS: Final = "omoi_os/store/reviews.py"
DURABLE: Final = "omoi_os/services/durable_reviews.py"
FOLLOWING: Final = "omoi_os/services/consequences.py"
WAIVING: Final = "omoi_os/services/waivers.py"
QUOTES: Final = "omoi_os/domain/judging/quotes.py"
CHECKING: Final = "omoi_os/domain/judging/checking.py"
JUDGING: Final = "tests/test_judging.py"
STEPS: Final = "tests/test_durable_reviews.py::test_"
FOLLOWED: Final = "tests/test_consequences.py::test_"

_DECIDING: Final = (
    Fault(
        "unknown_is_a_pass",
        VERDICT,
        "self.outcome is not Outcome.PASS and not self.waiver",
        "self.outcome is Outcome.FAIL and not self.waiver",
        (RULES, f"{GATES}a_claim_without_evidence_is_inconclusive"),
    ),
    Fault(
        "severity_is_ignored",
        VERDICT,
        "return self.severity is Severity.BLOCK and ",
        "return ",
        (RULES, "tests/test_convergence.py"),
    ),
    Fault(
        "nothing_to_check_is_a_pass",
        VERDICT,
        "    if not any(finding.outcome is Outcome.PASS or finding.waiver for finding in everything):",
        "    if False:",
        (RULES,),
    ),
    Fault(
        "a_failure_is_inconclusive",
        VERDICT,
        "            return Verdict(GateStatus.FAILED, everything, finding.code)",
        "            return Verdict(GateStatus.INCONCLUSIVE, everything, finding.code)",
        (RULES, f"{GATES}validate_gate_failed"),
    ),
    Fault(
        "claims_are_trusted",
        "omoi_os/domain/rules/claimed.py",
        "    if criterion.terms.claims is not ClaimsMode.ACCEPT or claims.problems:",
        "    if claims.problems:",
        (f"{GATES}a_claim_without_evidence_is_inconclusive",),
    ),
    Fault(
        "a_claim_beats_what_was_measured",
        "omoi_os/domain/rules/claimed.py",
        "    if not isinstance(facts, Unreadable) or facts.code is not UnreadableCode.NOT_GIVEN:",
        "    if False:",
        (RULES, "tests/test_policy_file.py"),
    ),
    Fault(
        "unreadable_evidence_is_a_pass",
        "omoi_os/domain/rules/measured.py",
        "outcome = Outcome.FAIL if facts.code is UnreadableCode.MISSING else Outcome.UNKNOWN",
        "outcome = Outcome.FAIL if facts.code is UnreadableCode.MISSING else Outcome.PASS",
        (f"{GATES}test_reports_are_counted",),
    ),
    Fault(
        "restless_evidence_is_a_pass",
        RECORD,
        '    "evidence",\n    Outcome.UNKNOWN,',
        '    "evidence",\n    Outcome.PASS,',
        (f"{BINDING}artifacts_that_never_hold_still_are_inconclusive",),
    ),
    Fault(
        "an_abandoned_review_is_a_pass",
        RECORD,
        '    "review",\n    Outcome.UNKNOWN,',
        '    "review",\n    Outcome.PASS,',
        (f"{BINDING}an_error_in_a_review_ends_it",),
    ),
)

_DIGESTS: Final = (
    Fault(
        "digest_without_content",
        RECORD,
        "digest_of([item.path, item.digest, item.broken])",
        "digest_of([item.path, item.broken])",
        (STALE_ROWS,),
    ),
    Fault(
        "digest_without_path",
        RECORD,
        "digest_of([item.path, item.digest, item.broken])",
        "digest_of([item.digest, item.broken])",
        (f"{BINDING}the_same_text_at_another_path_is_another_artifact",),
    ),
    Fault(
        "digest_without_policy",
        RECORD,
        "policy=demand_digest(policy),",
        'policy="",',
        (STALE_POLICY, BETWEEN),
    ),
    Fault(
        "digest_without_workspace",
        RECORD,
        "workspace=ground.workspace,",
        "workspace=None,",
        (STALE_WORKSPACE, BETWEEN),
    ),
    Fault("digest_without_base", RECORD, "base=ground.base,", "base=None,", (STALE_WORKSPACE,)),
    Fault(
        "digest_without_tasks",
        RECORD,
        "tasks=digest_of(open_ones) if policy.tasks_must_be_completed else None,",
        "tasks=None,",
        (STALE_ROWS,),
    ),
    Fault(
        "digest_without_waivers",
        RECORD,
        "waivers=tuple(sorted(waiver.id for waiver in waivers)),",
        "waivers=(),",
        (f"{WAIVERS}a_revoked_waiver_waives_nothing_from_now_on",),
    ),
    Fault(
        "named_reports_are_not_in_the_digest",
        GROUND,
        "    digest = workspace_digest(workspace, also=named_paths(wanted(policy, given)), store=store())",
        "    digest = workspace_digest(workspace, store=store())",
        (STALE_WORKSPACE,),
    ),
    Fault(
        "modes_are_not_in_the_digest",
        "omoi_os/evidence/snapshot_scan.py",
        "        kind = Kind.EXECUTABLE if executable else Kind.FILE",
        "        kind = Kind.FILE",
        (STALE_WORKSPACE,),
    ),
    Fault(
        "contents_are_not_in_the_digest",
        "omoi_os/evidence/snapshot_scan.py",
        "        whole.update(entry.content)\n",
        "",
        ("tests/test_snapshot.py", STALE_WORKSPACE),
    ),
)

_STALENESS: Final = (
    Fault(
        "the_stored_verdict_always_answers",
        INLINE,
        "if given.uncollected or self.stages.changes(review, given):",
        "if given.uncollected:",
        (STALE_WORKSPACE,),
    ),
    Fault(
        "an_inconclusive_verdict_answers_again",
        INLINE,
        "given.latest.status not in DECIDED",
        'given.latest.status == "pending"',
        (f"{BINDING}an_inconclusive_verdict_is_measured_anew",),
    ),
    Fault(
        "force_is_ignored",
        INLINE,
        "if review.terms.force or given.latest is None",
        "if given.latest is None",
        (f"{BINDING}force_measures_anew",),
    ),
    Fault(
        "a_move_does_not_look_at_the_workspace",
        PHASES,
        "if verdict is not None and not self.gates.is_current(verdict):",
        "if False and verdict is not None:",
        (BETWEEN, f"{BINDING}a_move_needs_the_workspace_that_was_reviewed"),
    ),
    Fault(
        "a_move_does_not_look_again",
        PHASES,
        "if verdict is not None and not self.gates.holds(verdict, session=session):",
        "if False:",
        (f"{MOVES}a_move_waits_for_evidence_that_is_being_added", "tests/test_binding_races.py"),
    ),
    Fault(
        "any_verdict_holds",
        GATE,
        "if result.gate_status != GateStatus.PASSED or not self.is_about(result, session=session):",
        "if not self.is_about(result, session=session):",
        (f"{MOVES}only_a_pass_for_what_is_there_holds",),
    ),
    Fault(
        "the_transaction_compares_nothing",
        GATE,
        "        return self.stages.inputs(review.policy, given, ground) == before",
        "        return True",
        (IN_TRANSACTION,),
    ),
    Fault(
        "what_is_not_collected_is_ignored_in_a_move",
        GATE,
        "if given is None or given.uncollected or before is None:",
        "if given is None or before is None:",
        (f"{BINDING}a_result_that_nobody_collected_holds_nothing_open",),
    ),
    Fault(
        "a_later_failure_is_ignored",
        GATE,
        "        return not phases.contradicted(driver_connection(session), result)",
        "        return True",
        (f"{MOVES}a_move_is_reviewed_again_for_what_is_there_then",),
    ),
    Fault(
        "what_is_not_collected_is_ignored",
        STAGES,
        "if given is not None and given.uncollected:",
        "if False:",
        (STALE_ROWS, f"{ATTACKS}evidence_that_arrives_during_a_review_is_reviewed"),
    ),
    Fault(
        "the_ticket_is_not_locked",
        "omoi_os/store/phases.py",
        "options(columns).with_for_update()",
        "options(columns)",
        (
            f"{MOVES}a_move_waits_for_evidence_that_is_being_added",
            f"{MOVES}evidence_waits_for_a_move_that_is_being_made",
        ),
    ),
    Fault(
        "the_lock_lets_evidence_in",
        "omoi_os/store/phases.py",
        "options(columns).with_for_update()",
        "options(columns).with_for_update(key_share=True)",
        (
            f"{MOVES}a_move_waits_for_evidence_that_is_being_added",
            f"{MOVES}evidence_waits_for_a_move_that_is_being_made",
        ),
    ),
)

_REVIEWING: Final = (
    Fault(
        "recorded_whatever_arrived",
        STORE,
        "(%(seen)s::text[] IS NULL OR (\n",
        "(true OR %(seen)s::text[] IS NULL OR (\n",
        (f"{BINDING}evidence_that_arrives_in_mid_review_is_reviewed",),
    ),
    Fault(
        "tasks_may_arrive_in_mid_review",
        STORE,
        "    AND {_COUNT_OPEN} = %(open)s::bigint AND NOT {_HAS_UNCOLLECTED}))",
        "    AND NOT {_HAS_UNCOLLECTED}))",
        (f"{BINDING}work_that_arrives_in_mid_review_is_reviewed",),
    ),
    Fault(
        "results_may_arrive_in_mid_review",
        STORE,
        "    AND {_COUNT_OPEN} = %(open)s::bigint AND NOT {_HAS_UNCOLLECTED}))",
        "    AND {_COUNT_OPEN} = %(open)s::bigint))",
        (f"{BINDING}work_that_arrives_in_mid_review_is_reviewed",),
    ),
    Fault(
        "the_oldest_artifact_counts",
        STORE,
        "        ORDER BY collected_at DESC, seq DESC LIMIT 1\n    ) newest",
        "        ORDER BY collected_at, seq LIMIT 1\n    ) newest",
        (f"{GATES}the_newest_artifact_of_a_type_counts",),
    ),
    Fault(
        "the_live_workspace_is_read",
        STAGES,
        "facts = measure_all(wanted(policy, given), source, base=review.terms.base)",
        "facts = measure_all(wanted(policy, given), given.workspace_path, base=review.terms.base)",
        (f"{BINDING}evidence_is_read_from_the_snapshot_only",),
    ),
    Fault(
        "a_policy_of_the_worker_is_used",
        "omoi_os/services/policies.py",
        "            refuse_reviewed(self.source, reviewed)\n",
        "            pass\n",
        (f"{BINDING}a_policy_in_the_reviewed_workspace_is_refused",),
    ),
    Fault(
        "a_running_review_is_taken_over",
        STORE,
        " AND gate_status = 'pending' AND lease_until < clock_timestamp()",
        " AND gate_status = 'pending'",
        (f"{BINDING}a_second_request_gets_the_open_review",),
    ),
    Fault(
        "an_overtaken_review_decides",
        STORE,
        "WHERE id = %(id)s::text AND gate_status = 'pending' AND run = %(run)s::bigint AND {_HOLDS}",
        "WHERE id = %(id)s::text AND {_HOLDS}",
        (
            f"{BINDING}a_review_that_nobody_ends_is_taken_over_after_its_lease",
            f"{BINDING}whoever_was_overtaken_answers_with_the_other_verdict",
        ),
    ),
    Fault(
        "an_error_leaves_the_review_open",
        INLINE,
        "replace(ended, review_id=opened.id, run=opened.run), abandoned=True)",
        "replace(ended, review_id=opened.id, run=-1), abandoned=True)",
        (f"{BINDING}an_error_in_a_review_ends_it",),
    ),
    Fault(
        "an_open_review_is_a_verdict",
        STORE,
        "FROM phase_gate_results WHERE {_OF_PHASE} AND gate_status <> 'pending'\nORDER BY",
        "FROM phase_gate_results WHERE {_OF_PHASE}\nORDER BY",
        (f"{BINDING}a_second_request_gets_the_open_review",),
    ),
)

_WAIVING: Final = (
    Fault(
        "waivers_never_run_out",
        STORE,
        " AND revokes IS NULL AND expires_at > clock_timestamp()",
        " AND revokes IS NULL",
        (f"{WAIVERS}it_ends_by_the_clock_of_the_database",),
    ),
    Fault(
        "waivers_cannot_be_revoked",
        STORE,
        "AND ended.revokes = given.id",
        "AND ended.revokes = given.ticket_id",
        (f"{WAIVERS}a_revoked_waiver_waives_nothing_from_now_on",),
    ),
    Fault(
        "waivers_cover_everything",
        "omoi_os/domain/waivers.py",
        "        return now.are_known and replace(self.inputs, waivers=()) == replace(now, waivers=())",
        "        return True",
        (f"{WAIVERS}after_any_change_it_waives_nothing",),
    ),
    Fault(
        "waivers_cover_what_nobody_could_read",
        "omoi_os/domain/waivers.py",
        "        return now.are_known and replace(",
        "        return replace(",
        (f"{WAIVERS}a_workspace_that_cannot_be_read_is_not_waived",),
    ),
    Fault(
        "waivers_let_everything_pass",
        "omoi_os/domain/waivers.py",
        """        replace(finding, waiver=by_criterion[finding.criterion])
        if finding.holds_gate and finding.criterion in by_criterion
""",
        """        replace(finding, waiver=next(iter(by_criterion.values())))
        if finding.holds_gate and by_criterion
""",
        (f"{WAIVERS}a_waiver_lets_one_criterion_pass_and_no_other",),
    ),
    Fault(
        "the_worker_waives",
        WAIVING,
        "            if waivers.has_worked(",
        "            if False and waivers.has_worked(",
        (f"{WAIVERS}whoever_worked_on_the_phase_cannot_waive",),
    ),
    Fault(
        "who_lost_a_task_waives",
        "omoi_os/store/waivers.py",
        "AND event_type = 'task.assigned' AND payload",
        "AND event_type = 'task.lost' AND payload",
        (f"{WAIVERS}whoever_worked_on_the_phase_cannot_waive",),
    ),
    Fault(
        "a_stale_verdict_is_waived",
        WAIVING,
        'if result is None or state["stale"] or ',
        "if result is None or ",
        (f"{WAIVERS}a_stale_verdict_is_not_waived",),
    ),
    Fault(
        "a_waiver_is_given_for_what_just_changed",
        WAIVING,
        "            if not self.gates.is_about(result, session=session):",
        "            if False:",
        (f"{WAIVERS}of_two_operators_at_once_one_is_told_to_look_again",),
    ),
    Fault(
        "anything_can_be_waived",
        WAIVING,
        "        if criterion not in holding:",
        "        if False:",
        (f"{WAIVERS}a_waiver_that_must_not_be_is_refused_whole",),
    ),
    Fault(
        "waivers_may_last_for_ever",
        "omoi_os/store/waivers.py",
        "make_interval(days => %(days)s::int)",
        "make_interval(years => 1000 + %(days)s::int)",
        (f"{WAIVERS}the_policy_says_how_many_days",),
    ),
)

_JUDGING: Final = (
    Fault(
        "a_quote_is_not_looked_up",
        QUOTES,
        "_stands_in(plain, _plain(text)) else",
        "True else",
        (JUDGING,),
    ),
    Fault(
        "a_quote_of_any_text_will_do",
        QUOTES,
        "    text = sources.text(where)",
        """    text = " ".join(getattr(sources, "texts", {}).values())""",
        (JUDGING,),
    ),
    Fault(
        "a_torn_word_is_a_quote",
        QUOTES,
        "        if not _tears(text, start) and not _tears(text, start + len(quote)):",
        "        if True:",
        (JUDGING,),
    ),
    Fault(
        "a_pass_needs_no_proof",
        CHECKING,
        """        return _unknown(criterion, "judge_quote_unproven", flaw)""",
        "        pass",
        (JUDGING,),
    ),
    Fault(
        "the_first_of_two_answers_counts", CHECKING, "    if len(own) != 1:", "    if not own:", (JUDGING,)
    ),
    Fault(
        "the_code_of_the_review_is_ignored",
        CHECKING,
        "given.answers if given.review == code else []",
        "given.answers",
        (JUDGING,),
    ),
    Fault(
        "a_judge_is_asked_though_a_rule_failed",
        "omoi_os/services/judging.py",
        "    if any(finding.holds_gate and finding.outcome is Outcome.FAIL for finding in findings):",
        "    if False:",
        (JUDGING,),
    ),
    Fault(
        "the_verdict_forgets_the_prompts",
        RECORD,
        "        prompts=judge.prompts,",
        "        prompts=None,",
        ("tests/test_gate_judged.py::test_another_model_or_other_prompts_make_the_verdict_stale",),
    ),
    Fault(
        "the_verdict_forgets_the_judge",
        STAGES,
        "        verdict = decide(waive((*measured.rules, *judged.findings), waivers))",
        "        verdict = decide(measured.rules)",
        ("tests/test_gate_judged.py::test_what_the_judge_finds_missing_blocks_with_its_reason",),
    ),
)

_GOING_BACK: Final = (
    Fault(
        "old_evidence_counts_after_a_regression",
        STORE,
        "artifact_type = wanted.artifact_type AND collected_at > {_SINCE}",
        "artifact_type = wanted.artifact_type",
        ("tests/test_regression.py",),
    ),
    Fault(
        "old_tasks_count_after_a_regression",
        STORE,
        """_COUNTS: Final = f"tasks WHERE {_OF_PHASE} AND created_at > {_SINCE}\"""",
        """_COUNTS: Final = f"tasks WHERE {_OF_PHASE}\"""",
        ("tests/test_regression.py",),
    ),
    Fault(
        "results_are_not_collected_before_a_regression",
        PHASES,
        "            self.gates.collect_artifacts(ticket_id, phase, session=session)",
        "            pass",
        ("tests/test_regression.py",),
    ),
)

_BY_THEMSELVES: Final = (
    Fault(
        "an_overtaken_run_records",
        STORE,
        "gate_status = 'pending' AND run = %(run)s::bigint AND {_HOLDS}",
        "gate_status = 'pending' AND {_HOLDS}",
        (f"{STEPS}an_execution_that_was_overtaken_changes_nothing",),
    ),
    Fault(
        "anybody_takes_a_review",
        REVIEWS,
        "AND (runner IS NULL OR runner = %(runner)s::text OR lease_until < clock_timestamp())",
        "",
        (
            "tests/test_review_rows.py::"
            "test_a_command_takes_no_review_that_a_worker_has_and_a_worker_none_of_a_command",
        ),
    ),
    Fault(
        "losses_are_not_counted",
        REVIEWS,
        "run = run + 1, takes = takes + 1, stage",
        "run = run + 1, stage",
        (f"{STEPS}a_review_that_loses_every_process_ends",),
    ),
    Fault(
        "what_changed_since_it_was_measured_is_decided",
        DURABLE,
        "        return self.stages.inputs(review.policy, given, measured.ground) == measured.inputs",
        "        return True",
        (f"{STEPS}evidence_that_changes_while_the_judge_reads_is_judged_again",),
    ),
    Fault(
        "another_snapshot_is_measured",
        DURABLE,
        '        if now != Ground(ground["workspace"], ground["base"]):\n',
        "        if False:\n",
        (f"{STEPS}a_snapshot_that_was_lost_with_its_process_is_taken_again",),
    ),
    Fault(
        "an_outage_is_an_attempt",
        "omoi_os/domain/reviews.py",
        "_LONGEST_WAIT), counts=False)",
        "_LONGEST_WAIT), counts=True)",
        (f"{STEPS}an_outage_of_any_length_leads_to_no_verdict_and_uses_up_no_attempt",),
    ),
    Fault(
        "what_was_followed_is_followed_again",
        FOLLOWING,
        "return review.carry_on and review.followed_at is None and",
        "return review.carry_on and",
        (f"{FOLLOWED}following_twice_does_nothing_more", f"{FOLLOWED}of_many_who_follow_at_once_one_does"),
    ),
    Fault(
        "a_stale_pass_moves_the_ticket",
        FOLLOWING,
        "return self.phases.carry_out(session, verdict.ticket_id, place, move, verdict) is not None",
        "return self.phases.carry_out(session, verdict.ticket_id, place, move) is not None",
        (f"{FOLLOWED}evidence_that_changes_between_the_look_and_the_move_moves_nothing",),
    ),
    Fault(
        "an_answer_is_followed",
        FOLLOWING,
        "return review.carry_on and review.followed_at",
        "return review.followed_at",
        (f"{FOLLOWED}a_verdict_that_only_answers_is_not_followed",),
    ),
    Fault(
        "a_moved_ticket_is_followed",
        FOLLOWING,
        "        if ticket.phase_id != last.phase_id:\n            return None\n",
        "",
        (f"{FOLLOWED}a_ticket_that_somebody_moved_meanwhile_is_left_alone",),
    ),
    Fault(
        "the_followed_verdict_counts_and_not_the_last",
        FOLLOWING,
        "last = self.gates.latest_verdict(asked.ticket_id, asked.phase_id) or asked",
        "last = asked",
        (f"{FOLLOWED}a_later_verdict_counts_and_not_the_one_that_is_followed",),
    ),
    Fault(
        "a_dead_end_is_asked_about_by_all_who_find_it",
        "omoi_os/services/review_requests.py",
        "if not dead_ends.is_one(driver_connection(session), ticket_id, phase_id):",
        "if False:",
        ("tests/test_dead_ends.py::test_of_many_who_find_it_at_once_one_asks",),
    ),
    Fault(
        "a_dead_end_is_asked_about_without_end",
        "omoi_os/store/dead_ends.py",
        "OR r.carry_on AND",
        "OR false AND",
        ("tests/test_dead_ends.py::test_of_many_who_find_it_at_once_one_asks",),
    ),
)

FAULTS: Final[tuple[Fault, ...]] = (
    *(*_DECIDING, *_DIGESTS, *_STALENESS, *_REVIEWING, *_WAIVING),
    *(*_JUDGING, *_GOING_BACK, *_BY_THEMSELVES),
)
