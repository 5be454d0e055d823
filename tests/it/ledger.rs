//! The contract of the ledger, held against every implementation.

pub(crate) mod bench;
mod breakers;
mod careful;
pub(crate) mod contract;
pub(crate) mod faults;
mod firestore;
mod limits;
mod memory;
mod owned;
mod plans;
pub(crate) mod sqlite;

/// Runs the whole contract on a bench: one line a backend.
macro_rules! ledger_contract {
    ($backend:ident, $bench:expr) => {
        mod $backend {
            use super::super::contract;
            use super::*;

            ledger_contract!(@ $bench;
                creation: a_new_job_is_due_at_once, the_same_key_finds_the_same_job,
                    the_same_id_is_the_same_request_or_taken, moments_survive_to_the_microsecond,
                    fields_nobody_knows_survive;
                claims: one_of_eight_claimers_wins, a_dead_lease_costs_an_attempt,
                    a_death_in_native_work_is_that_jobs_alone,
                    native_work_that_was_over_explains_no_death,
                    a_lease_given_back_costs_nothing, an_ended_job_is_not_claimed,
                    a_renewal_keeps_the_lease_and_shows_progress;
                writes: an_old_fence_changes_nothing, each_write_raises_the_revision_by_one,
                    an_end_is_only_settled, foreign_writes_neither_fail_nor_vanish,
                    a_callback_is_recorded_once;
                credits: a_hold_moves_credits_once, a_hold_needs_account_and_balance,
                    a_job_made_anew_under_an_id_pays_anew, concurrent_holds_never_overdraw, a_grant_counts_once,
                    a_grant_of_that_name_to_somebody_else_counts_too, entries_come_newest_first,
                    credits_are_conserved;
                settlement: eight_tries_settle_once, each_entry_moves_what_it_says,
                    an_entry_that_is_there_is_not_moved_again, without_an_account_nothing_is_written,
                    each_round_holds_and_tells_anew;
                counting: each_end_is_counted_once_by_day_model_and_owner,
                    a_buried_job_counts_as_failed;
                rounds: a_failed_job_gets_another_round, only_an_ended_job_is_retried,
                    eight_retries_begin_one_round, an_unknown_retry_is_asked_again,
                    however_many_callbacks_the_newest_are_read_and_all_deleted,
                    a_deleted_job_leaves_its_entries_alone, only_an_ended_job_is_deleted,
                    kept_files_are_named_and_forgotten, marks_are_made_and_removed;
                planning: due_jobs_come_oldest_first, a_rewake_needs_the_number_seen,
                    an_early_visit_is_replanned_once, lists_span_times, ended_jobs_are_due_nowhere, pages_are_stable, filters_hold, ids_are_found_by_how_they_begin, counts_are_bounded,
                    a_malformed_job_is_named_and_buried, a_buried_job_gives_back_what_it_held,
                    what_a_newer_release_wrote_is_left_alone, what_is_due_is_listed_in_parts;
                outbox: a_notice_is_due_until_delivered, delivered_is_final,
                    a_notice_is_planned_anew_under_a_fresh_number,
                    a_notice_that_cannot_be_read_is_given_up_in_time,
                    an_undeliverable_notice_can_be_replayed,
                    a_replay_begins_anew_under_the_same_id, a_jobs_notices_come_by_round, notices_come_oldest_first;
                sweep: what_cannot_be_read_stops_nothing_and_ends_in_time,
                    what_failed_waits_behind_the_others,
                    an_early_task_plans_its_notice_under_a_fresh_name,
                    a_lost_task_of_a_notice_is_planned_anew,
                    what_waits_its_turn_keeps_its_place,
                    a_sweep_never_claims_what_it_did_not_do,
                    a_prompt_deletion_takes_its_tasks_and_its_notice_along;
                unknown: reading_again_tells_what_became_of_a_commit;
            );
        }
    };
    (@ $bench:expr; $($group:ident: $($promise:ident),+;)+) => {
        $(mod $group {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    if !$bench.is_there() {
                        return;
                    }
                    contract::$group::$promise(&$bench).await;
                }
            )+
        })+
    };
}
pub(crate) use ledger_contract;
