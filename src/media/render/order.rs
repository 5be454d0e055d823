//! What is to be rendered.

use std::path::PathBuf;
use std::sync::Arc;

use crate::media::input::Input;
use crate::media::judge::Checks;
use crate::media::limits::Limits;
use crate::media::plan::Force;
use crate::media::probe::AudioTrack;
use crate::media::profile::Profile;
use crate::media::provenance::{Provenance, Signer};
use crate::media::watermark::Watermark;

/// One video to process.
#[derive(Clone, Debug)]
pub struct Render {
    /// The video.
    pub main: Arc<dyn Input>,
    /// What `main` continues: the result holds both, one after the other, as one
    /// video. Sound is then that of both and `audio_source` is not used.
    pub before: Option<Arc<dyn Input>>,
    /// The track of sound to take of `main`; else the first that can be used.
    pub audio_track: Option<AudioTrack>,
    /// The same of `audio_source` and of `before`. Named, the sound of `audio_source` goes before
    /// that of `main`, which [`Render::main_is_silent`] says.
    pub source_track: Option<AudioTrack>,
    /// The user's source: its sound is put back when `main` has none.
    pub audio_source: Option<Arc<dyn Input>>,
    /// Whether damage or another size in mid-stream ends the pass at once, with
    /// `not_decodable`, where they are mended otherwise. A picture that is encoded has been
    /// decoded whole then, and without a fault: who asks for it need not decode it before.
    pub strict: bool,
    /// Encoding settings.
    pub profile: Profile,
    /// `main` has a sound track with nothing to hear on it: the source's sound
    /// goes before it.
    pub main_is_silent: bool,
    /// Pictures laid over the frames, in this order.
    pub watermarks: Vec<Watermark>,
    /// Encode even where a copy would do.
    pub force: Force,
    /// Where a JPEG poster goes.
    pub poster: Option<PosterTo>,
    /// Whether a storyboard is made: [`Report::storyboard_jpeg`](super::Report::storyboard_jpeg).
    pub storyboard: bool,
    /// What is looked at besides what is always verified.
    pub checks: Checks,
    /// Whether something must be heard in the result, also where its sound is copied. What is
    /// encoded and heard must be anyway.
    pub audible: bool,
    /// Bounds; the deadline covers the whole call.
    pub limits: Limits,
    /// Codec threads; 0 = one per core.
    pub threads: usize,
    /// What the result says of how it was made; absent: nothing.
    pub provenance: Option<Provenance>,
    /// Signs for the result, where something is said in it; absent: nobody does.
    pub signer: Option<Arc<dyn Signer>>,
    /// Bytes kept free for the index; `None` reckons them from what the headers promise.
    pub index_room: Option<u64>,
}

/// Where a poster goes.
#[derive(Clone, Debug)]
pub enum PosterTo {
    /// A local file, which appears with the result.
    File(PathBuf),
    /// [`Report::poster_jpeg`](super::Report::poster_jpeg).
    Report,
}

impl From<PathBuf> for PosterTo {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}
