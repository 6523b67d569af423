"""What the host keeps for every adapter, each with the tests that prove it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["HOST_GUARANTEES", "HostGuarantee"]


class HostGuarantee(NamedTuple):
    """Something that an adapter may rely on; `tests` are functions below tests/."""

    title: str
    text: str
    tests: tuple[str, ...]


HOST_GUARANTEES = (
    HostGuarantee(
        "A turn has one end",
        "For each turn that it starts the host writes one of `turn_done`, `turn_failed` and "
        "`turn_cancelled`. An agent returns, raises, or lets a cancellation pass; it emits no "
        "such event itself.",
        ("test_each_turn_has_exactly_one_start_and_one_terminal_event",),
    ),
    HostGuarantee(
        "A failure costs one turn",
        "What an agent raises, foreseen or not, ends its turn and nobody else's. It is reported "
        "with its kind, and the run goes on with the other agents.",
        (
            "test_a_failed_agent_costs_only_itself_and_is_reported",
            "test_unforeseen_exceptions_of_an_agent_cost_only_its_turn",
        ),
    ),
    HostGuarantee(
        "An exception that was not foreseen gets a kind",
        "A hook `bridge_classify_error` may name it; otherwise it is a `crash`.",
        (
            "test_a_plugin_can_name_the_kind_of_a_foreign_exception",
            "test_the_first_plugin_that_knows_an_error_names_its_kind",
        ),
    ),
    HostGuarantee(
        "The host makes failed model calls again",
        "`call_model` calls the attempt that it is given once more when its error may pass: after "
        "the time that the provider asks for, or after waits that double. It tells of each "
        "attempt and each wait. An agent tries nothing again by itself.",
        (
            "test_a_failure_that_may_pass_is_tried_again_and_told",
            "test_any_other_failure_is_raised_at_once",
            "test_retry_after_is_waited_for",
        ),
    ),
    HostGuarantee(
        "The arguments of a tool are checked",
        "`turn.call_tool` checks them against the tool's schema. Wrong ones, and names that no "
        "tool has, come back as a result with `is_error`, for the model to read.",
        ("test_wrong_arguments_and_unknown_tools_are_told_to_the_model",),
    ),
    HostGuarantee(
        "A tool is called only with permission",
        "Every plugin is asked before a call. What is denied comes back as a result with "
        "`is_error`; an agent needs no rule of its own.",
        (
            "test_a_plugin_decides_on_tool_calls",
            "test_asking_a_person_denies_where_nobody_can_be_asked",
            "test_deny_beats_ask_beats_edit_beats_allow",
        ),
    ),
    HostGuarantee(
        "Tool calls are counted",
        "The one beyond `limits.max_tool_calls` raises `LimitReached` out of `call_tool`. An "
        "agent lets it pass, and its turn ends with it.",
        ("test_the_limit_of_tool_calls_ends_the_turn",),
    ),
    HostGuarantee(
        "A model call beyond a budget does not begin",
        "An agent tells of `model_call_started` before it sends the request, and awaits that. If "
        "no budget is left, its turn is cancelled there. One that shields itself from cancellation "
        "gets `LimitReached` instead, and lets it pass.",
        (
            "test_a_call_beyond_the_budget_is_never_sent",
            "test_an_agent_that_shields_itself_is_refused_its_call_too",
        ),
    ),
    HostGuarantee(
        "Silence and time are watched",
        "A turn without any event for `limits.idle_s`, or longer than `limits.wall_s`, is "
        "cancelled and told as `timeout`. Each event counts as a sign of life, so an agent that "
        "tells what it does is not taken for dead.",
        (
            "test_a_silent_agent_is_given_up_after_its_idle_time",
            "test_a_slow_agent_that_makes_progress_is_not_idle",
        ),
    ),
    HostGuarantee(
        "A cancellation reaches the agent, and only what it is meant for",
        "Deadlines, interrupts and strategies cancel the task in which `run` is awaited. An agent "
        "that cancels itself, or cannot be closed, costs only itself.",
        (
            "test_the_deadline_ends_a_run_with_the_best_so_far_and_stops_the_others",
            "test_cancelling_a_run_ends_it_soon_and_keeps_its_journal",
            "test_an_agent_that_cancels_itself_or_cannot_be_closed_costs_only_itself",
        ),
    ),
    HostGuarantee(
        "A factory may import a framework",
        "It is called in a worker thread, one import at a time, and no agent runs while a "
        "framework is half imported.",
        ("test_the_first_of_many_agents_begin_at_once_unless_a_kind_is_still_to_import",),
    ),
    HostGuarantee(
        "An agent is asked to vote as it can",
        "By a tool, by an output schema or by a block of text, as its capabilities and its model "
        "allow. Whichever it is, the same answer wins. A vote that is none is asked for once "
        "more.",
        (
            "test_an_agent_votes_as_its_kind_and_its_model_can",
            "test_three_agents_agree_in_six_calls_whatever_the_ballot",
            "test_an_invalid_vote_gets_one_repair_and_then_abstains",
        ),
    ),
    HostGuarantee(
        "A missing key is told before anything runs",
        "A connection that reaches a factory has the key that its provider needs. The error names "
        "the variable, the agent and the place in the file.",
        ("test_a_missing_key_names_variable_agent_and_place",),
    ),
    HostGuarantee(
        "Keys do not get out",
        "The keys of all connections are taken out of what is recorded, and of what sinks and "
        "listeners get, also where deltas cut them apart.",
        (
            "test_no_key_gets_into_journal_sinks_or_listeners",
            "test_a_secret_split_in_three_is_found_wherever_it_is_split",
        ),
    ),
    HostGuarantee(
        "What an agent tells is recorded",
        "In order and numbered without a hole. What was acknowledged outlives the process.",
        (
            "test_records_are_numbered_without_a_hole_and_framed",
            "test_a_killed_run_keeps_everything_that_was_acknowledged",
        ),
    ),
    HostGuarantee(
        "A plugin may change a turn before the agent gets it",
        "The agent gets the turn that the record shows.",
        ("test_a_hook_can_change_a_turn_and_the_record_shows_what_the_agent_got",),
    ),
    HostGuarantee(
        "Code that a file names runs only where it is trusted",
        "An adapter says in `imports_code` which of its options are import paths; the host asks.",
        ("test_a_file_that_imports_code_needs_trust",),
    ),
    HostGuarantee(
        "A broken plugin costs only itself",
        "It is listed with the reason, and named when its kind is asked for. So are two plugins "
        "that register one kind.",
        (
            "test_every_broken_plugin_is_listed_with_its_reason_and_hurts_nobody_else",
            "test_asking_for_a_broken_kind_tells_what_is_wrong_with_it",
            "test_a_name_that_two_distributions_claim_is_an_error_when_it_is_used",
        ),
    ),
    HostGuarantee(
        "An adapter for another release says so",
        "What is told of a broken plugin ends with the massgen-bridge that its distribution asks "
        "for, and the one that is there.",
        ("test_a_broken_plugin_tells_which_release_it_was_made_for",),
    ),
)
