//! The media core, judged by decoding what it made.

mod broken;
mod copy;
mod hostile;
mod join;
mod layers;
mod limits;
#[cfg(target_os = "linux")]
mod nested;
mod people;
mod probe;
mod profiles;
mod reference;
mod render;
mod sound;
mod stop;
pub(crate) mod support;
mod synth;
mod traits;
mod verify;
mod watermark;
