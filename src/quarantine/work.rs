//! A piece of native work, done wherever it is.

use std::sync::Arc;

use crate::job::Phase;
use crate::media::{
    self, AudioTrack, Cancel, Event, Expectation, Input, Limits, MediaError, Output, PictureProbe,
    Probe, Render, Report, Verified,
};

/// What is to be done.
#[derive(Debug)]
pub enum Work {
    /// With a certain track of sound, or the first that can be used.
    Probe(Arc<dyn Input>, Option<AudioTrack>),
    Picture(Arc<dyn Input>),
    /// Is there anything to hear?
    Audible(Arc<dyn Input>, Option<AudioTrack>),
    Verify(Arc<dyn Input>, Box<Expectation>),
    Render(Box<Render>, Box<dyn Output>),
}

/// What came of it.
#[derive(Debug)]
pub enum Answer {
    Probe(Box<Probe>),
    Picture(PictureProbe),
    Audible(bool),
    Verified(Box<Verified>),
    /// And what was written, to be read back.
    Rendered(Box<Report>, Arc<dyn Input>),
}

impl Work {
    /// Does it on this thread. A render has limits of its own.
    pub fn run(
        self,
        phase: Phase,
        limits: &Limits,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Answer, MediaError> {
        #[cfg(debug_assertions)]
        super::fault::bring_about(&self.inputs(), phase);
        #[cfg(not(debug_assertions))]
        let _ = phase;
        Ok(match self {
            Self::Probe(input, track) => {
                let probe = media::probe_track(input.as_ref(), track.as_ref(), limits, cancel)?;
                Answer::Probe(Box::new(probe))
            }
            Self::Picture(input) => {
                Answer::Picture(media::probe_picture(input.as_ref(), limits, cancel)?)
            }
            Self::Audible(input, track) => {
                let (input, track) = (input.as_ref(), track.as_ref());
                Answer::Audible(media::is_track_audible(input, track, limits, cancel)?)
            }
            Self::Verify(input, expected) => {
                let verified = media::verify(input.as_ref(), &expected, limits, cancel)?;
                Answer::Verified(Box::new(verified))
            }
            Self::Render(render, mut output) => {
                let report = media::render(&render, output.as_mut(), cancel, on_event)?;
                Answer::Rendered(Box::new(report), output.staged())
            }
        })
    }

    /// Its inputs that are videos or pictures of somebody else's making.
    #[cfg(debug_assertions)]
    fn inputs(&self) -> Vec<&Arc<dyn Input>> {
        match self {
            Self::Probe(input, _)
            | Self::Picture(input)
            | Self::Audible(input, _)
            | Self::Verify(input, _) => vec![input],
            Self::Render(render, _) => [
                Some(&render.main),
                render.before.as_ref(),
                render.audio_source.as_ref(),
            ]
            .into_iter()
            .flatten()
            .collect(),
        }
    }
}
