//! Moves jobs along their road.
//!
//! [`Worker::visit`] is the only thing that moves a job. It claims the job, runs stages until
//! the job ends or has to wait, and leaves. A visit runs in a task of its own: whoever asked for
//! it may go away.
//!
//! Architecture invariant: the worker knows ports, never adapters; nothing here sleeps through a
//! provider's work.

mod admission;
mod answers;
mod arrival;
mod awaited;
mod balance;
mod belongings;
mod cleaned;
mod cleaning;
mod context;
mod deadline;
mod deletion;
mod delivering;
mod end;
mod failures;
mod footprint;
mod halt;
mod leave;
mod limiter;
mod native;
mod objects;
mod origin;
mod outbox;
mod outcome;
mod patience;
mod placement;
mod places;
mod preview;
mod quote;
mod receiver;
mod retention;
mod running;
mod services;
mod settings;
mod stages;
mod state;
mod stop;
mod sweep;
mod visit;
mod walk;
mod waste;
mod watchdog;
mod writer;

pub use belongings::folders;
pub use cleaned::Cleaned;
pub use cleaning::CLEAN_EVERY;
pub use limiter::{ProviderLimits, ProviderUse};
pub use outbox::DeliveryOutcome;
pub use outcome::Visit;
pub use patience::Pauses;
pub use placement::mark_faults;
pub use places::PlaceLimits;
pub use preview::{LabelPreview, MarkPreview, Preview};
pub use quote::{ProviderQuote, Quote, QuoteError, QuoteRequest};
pub use receiver::UNKNOWN_JOB_DELIVERIES;
pub(crate) use receiver::{unknown_job, unknown_notice};
pub use services::Services;
pub use settings::{BrandMark, BrandWatermark, Retention, Settings};
pub use state::Worker;
pub use stop::StopReason;
pub use sweep::Swept;
