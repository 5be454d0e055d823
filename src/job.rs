//! The domain: what a job is, how it may change, what it costs, why it fails.
//!
//! Pure: no I/O, no clock, nothing of ours imported. Adapters store and carry these types;
//! the worker decides with them.
//!
//! Architecture invariant: a [`Job`] is changed through [`Change::apply`] only. A ledger loads,
//! checks the fence, applies, stores.

pub mod attempt;
pub mod breaker;
pub mod change;
mod channel;
pub mod counts;
pub mod credits;
pub mod failure;
mod history;
pub mod ids;
pub mod inputs;
mod intent;
pub mod kinds;
mod label;
pub mod lease;
pub mod native;
mod new_job;
pub mod notice;
mod origin;
mod passed_over;
mod phase;
pub mod progress;
mod provenance;
mod record;
pub mod round;
pub mod status;
mod timeline;
mod wait;
mod waiting;
mod watermark;

pub use jiff::Timestamp;

pub use crate::fields::Fault;
#[cfg(test)]
pub(crate) use change::tests as testing;
pub use change::{Change, Ending, IllegalChange};
pub use channel::{Channel, Notify};
pub use counts::{Count, Sums};
pub use credits::{
    Account, CancelAfterSubmit, CreditEntry, CreditState, Credits, CreditsMode, EntryKind,
    JobCredits, PriceTable,
};
pub use failure::{Code, Disposition, Failure, OrFailure, Party};
pub use ids::{Fence, JobId, Owner};
pub use inputs::MediaRef;
pub use intent::{
    Counted, DurationMeaning, Intent, IntentState, MAX_INTENTS, ProviderInputs, ProviderState,
    SourceFacts, Terms,
};
pub use kinds::{CharacterReplace, Extend, Kind, Params, Resolution, Upscale};
pub use label::{Label, LabelChoice};
pub use lease::Claim;
pub use new_job::{Idempotency, NewJob};
pub use notice::{Event, Notice};
pub use origin::{Ingredient, Input as OriginInput, InputOrigin, Origin, ResultOrigin, Unsigned};
pub use passed_over::{PassedFor, PassedOver};
pub use phase::{MAX_CRASHES, NativeWork, Phase};
pub use progress::Progress;
pub use provenance::Provenance;
pub use record::{
    Generated, Job, JobError, Keeping, Kept, Lease, Output, Published, SCHEMA_VERSION, Source,
    Timings, Wake,
};
pub use round::MAX_SUBMISSIONS;
pub use status::{Stage, Status};
pub use timeline::TimelineEntry;
pub use wait::Wait;
pub use waiting::{Waiting, WaitsFor};
pub use watermark::WatermarkSpec;
