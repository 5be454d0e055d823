//! The WaveSpeed client, over real HTTP.

mod catalogue;
mod deletes;
mod downloads;
mod money;
mod prices;
mod road;
mod stub;
mod uploads;
mod videos;

use std::path::{Path, PathBuf};
use std::time::Duration;

use filmlab::job::kinds::{CharacterReplace, Extend, Upscale};
use filmlab::job::{DurationMeaning, Params, Resolution};
use filmlab::provider::wavespeed::{RetryLimits, Secret, WaveSpeed, WaveSpeedConfig};
use filmlab::provider::{Provider as _, ProviderError, Submission};
use futures::StreamExt as _;
use url::Url;

/// Downloads into files.
pub(crate) trait DownloadTo {
    /// Writes only what came whole.
    async fn download_to(&self, url: &Url, to: &Path, most: u64) -> Result<u64, ProviderError>;
}

impl DownloadTo for WaveSpeed {
    async fn download_to(&self, url: &Url, to: &Path, most: u64) -> Result<u64, ProviderError> {
        let mut whole = Vec::new();
        let mut stream = self.download(url, most).await?;
        while let Some(chunk) = stream.next().await {
            whole.extend_from_slice(&chunk?);
        }
        std::fs::write(to, &whole)?;
        Ok(whole.len() as u64)
    }
}

/// Settings for something on loopback, with waits too short to notice.
pub(crate) fn config(base: &Url) -> WaveSpeedConfig {
    let mut config = WaveSpeedConfig::new(base.clone(), Secret::new("sandbox"));
    config.allow_loopback = true;
    config.retry = RetryLimits {
        retries: 3,
        least_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(5),
        total: Duration::from_secs(5),
    };
    config
}

pub(crate) fn client(base: &Url) -> WaveSpeed {
    WaveSpeed::new(config(base)).expect("valid settings")
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

pub(crate) fn url(text: &str) -> Url {
    text.parse().expect("an address")
}

pub(crate) fn upscale(video: Url) -> Submission {
    Submission {
        model: "wavespeed-ai/video-upscaler".into(),
        params: Params::Upscale(Upscale {
            target: Resolution::P720,
        }),
        source_s: 5.0,
        duration: DurationMeaning::Added,
        video,
        image: None,
        callback: None,
    }
}

pub(crate) fn extend(video: Url) -> Submission {
    Submission {
        model: "wavespeed-ai/minimax-h3/video-extend".into(),
        params: Params::Extend(Extend {
            prompt: "it goes on".into(),
            seconds: 4,
            resolution: Resolution::P720,
            seed: None,
        }),
        source_s: 5.0,
        duration: DurationMeaning::Added,
        video,
        image: None,
        callback: None,
    }
}

pub(crate) fn character_replace(video: Url, image: Url) -> Submission {
    Submission {
        model: "wavespeed-ai/wan-2.2/animate".into(),
        params: Params::CharacterReplace(CharacterReplace {
            prompt: None,
            resolution: Resolution::P720,
            seed: Some(7),
        }),
        source_s: 5.0,
        duration: DurationMeaning::Added,
        video,
        image: Some(image),
        callback: None,
    }
}
