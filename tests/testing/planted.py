"""Where each bad rule is planted, and the property that it breaks there."""

from __future__ import annotations

from attrs import frozen

from tests.testing import bad_rules, hidden_rules
from trioflow.core.decisions import Rule
from trioflow.core.states import StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Row, Table

NONE = None
SCHEDULED, PENDING, RUNNING, PAUSED, SUSPENDED, CANCELLING, COMPLETED, FAILED, CRASHED, CANCELLED = StateType


@frozen
class Bad:
    """A rule, where it stands, and the name of the property that it breaks."""

    rule: Rule
    from_: Row
    to: StateType
    breaks: str
    table: Table = FLOW_RUNS
    first: bool = False
    """Whether it stands in front of the rules that are there."""

    @property
    def within(self) -> Table:
        """The table with the rule in it."""
        cell = self.table.cell(self.from_, self.to)
        before = cell[0] if self.first else None
        return self.table.with_rule(self.rule, from_=self.from_, to=self.to, before=before)

    def __str__(self) -> str:
        return f"{self.rule.name}-{self.from_}-{self.to}-{self.table.name[:4]}"


BAD = [
    Bad(bad_rules.look_up_what_may_be_missing, PENDING, RUNNING, "TOTAL"),
    Bad(bad_rules.divide_by_what_is_zero_at_first, RUNNING, FAILED, "TOTAL"),
    Bad(bad_rules.forget_that_a_task_may_run_alone, PENDING, RUNNING, "TOTAL", TASK_RUNS),
    Bad(bad_rules.give_a_truth_for_an_answer, NONE, PENDING, "POSSIBLE"),
    Bad(bad_rules.accept_by_itself, SCHEDULED, PENDING, "POSSIBLE"),
    Bad(bad_rules.edit_the_epoch, SCHEDULED, PENDING, "POSSIBLE"),
    Bad(bad_rules.edit_the_id, PENDING, RUNNING, "POSSIBLE"),
    Bad(bad_rules.edit_the_attempt, PENDING, RUNNING, "POSSIBLE", TASK_RUNS),
    Bad(bad_rules.edit_a_failure_into_a_success, RUNNING, FAILED, "POSSIBLE", first=True),
    Bad(bad_rules.edit_the_due_time_away, PENDING, SCHEDULED, "POSSIBLE"),
    Bad(bad_rules.edit_the_due_time_to_one_of_no_zone, PENDING, SCHEDULED, "POSSIBLE"),
    Bad(bad_rules.edit_what_cannot_be_stored_into_the_parameters, PENDING, RUNNING, "POSSIBLE"),
    Bad(bad_rules.edit_the_policy_into_a_number, PENDING, RUNNING, "POSSIBLE"),
    Bad(bad_rules.say_that_it_runs_though_it_does_not, PENDING, RUNNING, "POSSIBLE"),
    Bad(bad_rules.wait_for_less_than_nothing, SCHEDULED, RUNNING, "POSSIBLE", first=True),
    Bad(bad_rules.choose_a_state_that_is_closed, CANCELLING, CANCELLED, "POSSIBLE"),
    Bad(bad_rules.toss_a_coin, SCHEDULED, PENDING, "PURE"),
    Bad(bad_rules.draw_a_number_only_for_what_is_tagged, PENDING, RUNNING, "PURE", TASK_RUNS),
    Bad(bad_rules.draw_from_a_generator_of_its_own, PENDING, RUNNING, "CLEAN"),
    Bad(bad_rules.look_at_the_clock, SCHEDULED, RUNNING, "PURE"),
    Bad(bad_rules.look_at_the_seconds_since_the_epoch, RUNNING, COMPLETED, "PURE", TASK_RUNS),
    Bad(bad_rules.make_an_id, PENDING, RUNNING, "PURE"),
    Bad(bad_rules.count_the_askings, PENDING, RUNNING, "CLEAN"),
    Bad(bad_rules.count_by_an_iterator, PENDING, RUNNING, "CLEAN"),
    Bad(bad_rules.take_a_slot_of_its_own_and_refuse, PENDING, RUNNING, "CLEAN", TASK_RUNS),
    Bad(bad_rules.start_each_only_once, PENDING, RUNNING, "CLEAN"),
    Bad(bad_rules.mark_the_parameters, SCHEDULED, PENDING, "CLEAN"),
    Bad(bad_rules.prefer_the_first_tag, PENDING, RUNNING, "ORDERLY"),
    Bad(bad_rules.sort_by_hash, PENDING, RUNNING, "ORDERLY"),
    Bad(bad_rules.look_at_a_limit_that_it_does_not_declare, PENDING, RUNNING, "DECLARED", TASK_RUNS),
    Bad(bad_rules.look_at_a_parent_that_it_does_not_declare, RUNNING, FAILED, "DECLARED", TASK_RUNS),
    Bad(bad_rules.schedule_again_what_is_over, COMPLETED, SCHEDULED, "FINAL", first=True),
    Bad(bad_rules.run_again_what_is_over, COMPLETED, RUNNING, "FINAL", TASK_RUNS, first=True),
    Bad(bad_rules.take_slots_without_counting, PENDING, RUNNING, "SLOTS", TASK_RUNS, first=True),
    Bad(bad_rules.take_a_slot_of_a_tag_that_it_does_not_have, PENDING, RUNNING, "SLOTS", TASK_RUNS),
    Bad(bad_rules.take_a_slot_before_it_runs, PENDING, PENDING, "SLOTS", TASK_RUNS),
    Bad(bad_rules.give_the_slots_back_while_it_runs, PENDING, RUNNING, "SLOTS", TASK_RUNS),
    Bad(bad_rules.take_a_slot_for_a_flow_run, PENDING, RUNNING, "SLOTS"),
    Bad(bad_rules.wait_for_ever, SCHEDULED, PENDING, "PATIENT"),
    Bad(bad_rules.wait_for_ever, RUNNING, COMPLETED, "PATIENT", TASK_RUNS),
    Bad(bad_rules.wait_for_ever_if_it_is_tagged, PENDING, RUNNING, "PATIENT"),
    Bad(bad_rules.wait_for_a_name_that_nobody_gives, PENDING, RUNNING, "PATIENT", TASK_RUNS),
    Bad(bad_rules.put_it_off_to_the_end_of_time, PENDING, RUNNING, "PATIENT"),
    Bad(bad_rules.send_it_where_nobody_looks, SCHEDULED, RUNNING, "PATIENT"),
    Bad(bad_rules.never_be_content, RUNNING, COMPLETED, "PATIENT"),
    Bad(bad_rules.never_be_content, RUNNING, COMPLETED, "PATIENT", TASK_RUNS),
    Bad(bad_rules.refuse_to_cancel, RUNNING, CANCELLING, "ENDABLE"),
    Bad(bad_rules.refuse_to_cancel_what_is_critical, RUNNING, CANCELLING, "ENDABLE"),
    Bad(bad_rules.put_off_the_cancelling_for_ever, RUNNING, CANCELLED, "ENDABLE", TASK_RUNS),
    Bad(bad_rules.refuse_to_hear_that_it_ended, RUNNING, COMPLETED, "ENDABLE"),
    Bad(bad_rules.refuse_to_write_off, PENDING, CRASHED, "ENDABLE"),
    Bad(hidden_rules.ask_this_machines_time_zone, PENDING, RUNNING, "PURE"),
    Bad(hidden_rules.look_whether_a_file_is_there, PENDING, RUNNING, "PURE"),
    Bad(hidden_rules.ask_another_machine, PENDING, RUNNING, "PURE"),
    Bad(hidden_rules.read_the_environment, PENDING, RUNNING, "PURE"),
    Bad(hidden_rules.make_a_generator_of_chance, PENDING, RUNNING, "PURE"),
    Bad(hidden_rules.sleep_on_it, PENDING, RUNNING, "PURE"),
    Bad(hidden_rules.share_out_by_identity, PENDING, RUNNING, "ORDERLY"),
    Bad(hidden_rules.use_up_a_quota, PENDING, RUNNING, "CLEAN"),
    Bad(hidden_rules.count_in_the_context, PENDING, RUNNING, "CLEAN"),
    Bad(hidden_rules.rename_the_proposed_state, PENDING, RUNNING, "CLEAN"),
    Bad(hidden_rules.add_to_a_list_in_the_parameters, PENDING, RUNNING, "CLEAN"),
    Bad(hidden_rules.take_tags_for_ascii, PENDING, RUNNING, "TOTAL"),
    Bad(hidden_rules.take_the_parameters_for_hashable, SCHEDULED, PENDING, "TOTAL"),
    Bad(hidden_rules.look_at_the_next_month, PENDING, RUNNING, "TOTAL"),
    Bad(hidden_rules.take_the_delay_of_this_retry, PENDING, RUNNING, "TOTAL", TASK_RUNS),
    Bad(hidden_rules.give_up_the_whole_process, PENDING, RUNNING, "TOTAL"),
    Bad(hidden_rules.look_until_it_changes, PENDING, RUNNING, "TOTAL"),
    Bad(hidden_rules.look_again_whatever_happens, PENDING, RUNNING, "TOTAL"),
    Bad(hidden_rules.abort_as_if_it_were_over, PENDING, RUNNING, "POSSIBLE"),
    Bad(hidden_rules.edit_with_effects_in_a_list, PENDING, RUNNING, "POSSIBLE"),
    Bad(hidden_rules.edit_the_retries_below_nothing, PENDING, RUNNING, "POSSIBLE"),
    Bad(hidden_rules.show_it_on_another_run, PENDING, RUNNING, "POSSIBLE"),
    Bad(hidden_rules.push_back_whoever_claims, SCHEDULED, PENDING, "PATIENT"),
    Bad(hidden_rules.keep_subflows_waiting, PENDING, RUNNING, "PATIENT"),
    Bad(hidden_rules.keep_what_resumes_waiting, SCHEDULED, PENDING, "PATIENT"),
    Bad(hidden_rules.keep_tasks_of_a_second_attempt_waiting, PENDING, RUNNING, "PATIENT", TASK_RUNS),
    Bad(hidden_rules.refuse_to_cancel_a_second_attempt, RUNNING, CANCELLED, "ENDABLE", TASK_RUNS),
    Bad(hidden_rules.refuse_to_cancel_a_subflow, RUNNING, CANCELLING, "ENDABLE"),
]
"""Each stands alone in its table."""

EACH_ALONE = [
    (bad_rules.claim_only_what_is_late, SCHEDULED, PENDING),
    (bad_rules.call_nothing_late_that_has_not_run, SCHEDULED, SCHEDULED),
]
"""Two rules that wait for each other: nothing is wrong with either of them."""
