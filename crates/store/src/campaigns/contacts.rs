//! Table `contacts`: one recipient of one campaign, from intake to its final state.
//!
//! A lane claims a contact, marks it `sending` before the request, and finishes it with the outcome. Mark and finish of
//! a first attempt change no indexed column, so they are HOT updates. Only a contact that is sent again has an entry in
//! the index `contacts_requeued`, until its next finish.

mod abandon;
mod cancel;
mod claim;
mod decisions;
mod delivery;
mod erase;
mod finish;
mod learn;
mod mark;
mod read;

pub use abandon::{close_abandoned, with_attempts_under_way};
pub use cancel::cancel_unsent;
pub use claim::{ClaimedContact, Quota, claim};
pub use decisions::{Locked, Unconfirmed, give_up, lock_unconfirmed, resend};
pub use delivery::{DeliveryStatus, record_delivery};
pub use erase::{DueErasure, Erasable, ErasedContacts, Hashes, erase, list_due_erasures};
pub use finish::{Finish, Finished, NextState, finish};
pub use learn::{Evidence, LearnResult, learn};
pub use mark::{MarkFacts, NewAttempt, mark_facts, mark_sending, skip};
pub use read::{Contact, ContactKey, get, list};
