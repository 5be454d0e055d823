//! The media core, judged by decoding what it made.

mod broken;
mod cases;
mod clock;
mod copy;
mod edits;
mod gaps;
mod hostile;
mod interlaced;
mod join;
mod layers;
mod limits;
mod looks;
#[cfg(target_os = "linux")]
mod nested;
mod people;
mod probe;
mod profiles;
mod provenance;
mod reference;
mod render;
mod seal;
mod signed;
mod sizes;
mod sound;
mod stop;
mod storyboard;
pub(crate) mod support;
mod synth;
mod text;
mod track;
mod traits;
mod verify;
mod watermark;
