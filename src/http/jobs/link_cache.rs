//! Links to results, kept for a while: a client that polls a completed job must not have five
//! links signed each time, each of which is a call of IAM's without a key file.
//!
//! In memory only, never in the ledger: a link opens without credentials. Each caller's own scope
//! has its own, so that no link that one was given shows up with another. The keys that sign are
//! read at the start of the process, so no link of an earlier key is ever in here.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use url::Url;
use utoipa::ToSchema;

use crate::clock::later;
use crate::http::caller::Caller;
use crate::job::{JobId, Timestamp};

/// Results whose links are kept: some 3 KiB each.
const MOST: usize = 1024;
/// A link that is shown still opens for three quarters of its time, however late it was asked for.
const SHARE: u32 = 4;
/// And never comes from long ago.
const LONGEST: Duration = Duration::from_secs(600);

/// Where the result's files open without credentials, until `expires_at`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Links {
    pub video: Url,
    pub poster: Url,
    pub metadata: Url,
    /// One picture of many small ones; absent where there is no storyboard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storyboard: Option<Url>,
    /// When each of them is shown, as WebVTT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storyboard_vtt: Option<Url>,
    pub expires_at: Timestamp,
}

/// Cheap to clone; all clones share it.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct LinkCache(Arc<Mutex<HashMap<Key, Kept>>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    caller: Caller,
    job: JobId,
    /// The name tells rounds apart.
    video: String,
}

#[derive(Debug)]
struct Kept {
    from: Timestamp,
    until: Timestamp,
    /// Filled by the first who asks; those who ask meanwhile wait for it.
    links: Arc<OnceCell<Links>>,
}

impl LinkCache {
    /// Links of the usual life `ttl` to a job's `video` and what lies beside it, made by `sign`
    /// where there are none that are fresh.
    pub(super) async fn links<E, F>(
        &self,
        of: (&Caller, &JobId, &str),
        now: Timestamp,
        ttl: Duration,
        sign: impl FnOnce() -> F + Send,
    ) -> Result<Links, E>
    where
        F: Future<Output = Result<Links, E>> + Send,
    {
        let (caller, job, video) = of;
        let key = Key {
            caller: caller.clone(),
            job: job.clone(),
            video: video.to_owned(),
        };
        let links = self.kept(key, now, (ttl / SHARE).min(LONGEST));
        links.get_or_try_init(sign).await.cloned()
    }

    fn kept(&self, key: Key, now: Timestamp, fresh: Duration) -> Arc<OnceCell<Links>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not make a link live on.
        let is_fresh = |kept: &Kept| (kept.from..kept.until).contains(&now);
        if let Some(kept) = all.get(&key).filter(|kept| is_fresh(kept)) {
            return Arc::clone(&kept.links);
        }
        if all.len() >= MOST {
            all.retain(|_, kept| is_fresh(kept));
        }
        if all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_, kept)| kept.from);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                all.remove(&oldest);
            }
        }
        let links = Arc::new(OnceCell::new());
        let kept = Kept {
            from: now,
            until: later(now, fresh),
            links: Arc::clone(&links),
        };
        all.insert(key, kept);
        links
    }

    /// Drops what is kept of a job that was deleted.
    pub(super) fn forget(&self, job: &JobId) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|key, _| key.job != *job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::settings::Role;

    #[test]
    fn what_is_kept_is_bounded_and_ends() {
        let cache = LinkCache::default();
        let at = |s: i64| Timestamp::from_second(1_800_000_000 + s).unwrap();
        let key = |number: usize| Key {
            caller: Caller::of(None, Role::Editor),
            job: "j".parse().unwrap(),
            video: number.to_string(),
        };
        let fresh = Duration::from_secs(60);
        let first = cache.kept(key(0), at(0), fresh);
        let same = |links: &Arc<OnceCell<Links>>| Arc::ptr_eq(&first, links);
        assert!(same(&cache.kept(key(0), at(59), fresh)));
        // Neither past its end, nor before it was made.
        assert!(!same(&cache.kept(key(0), at(60), fresh)));
        assert!(!same(&cache.kept(key(0), at(-1), fresh)));
        for number in 0..3 * MOST {
            let now = at(100 + i64::try_from(number).unwrap() / 100);
            cache.kept(key(number), now, fresh);
        }
        assert_eq!(cache.0.lock().unwrap().len(), MOST);
        cache.forget(&"j".parse().unwrap());
        assert!(cache.0.lock().unwrap().is_empty());
    }
}
