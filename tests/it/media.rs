//! The media core, judged by decoding what it made.

mod copy;
mod hostile;
mod layers;
mod probe;
mod reference;
mod render;
mod sound;
mod stop;
pub(crate) mod support;
mod synth;
mod traits;
mod verify;
mod watermark;
