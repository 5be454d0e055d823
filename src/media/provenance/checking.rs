//! Holding what a file brings against the file, and what that makes of it as an ingredient.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::brought::Brought;
use super::holding::{HardBinding, Holding, Telling};
use super::ingredient::{Finding, Ingredient, UNTRUSTED};
use super::terms::ManifestState;
use crate::media::input::ReadSeek;
use crate::media::limits::Guard;

/// The specification's words for a file that is as it was signed, and one that is not.
const WHOLE: &str = "assertion.bmffHash.match";
const ANOTHER: &str = "assertion.bmffHash.mismatch";

impl Brought {
    /// From here on, what is read of the file is held against it as well. The reader stands at the
    /// beginning, before and after.
    ///
    /// # Errors
    /// What keeps the file from being read.
    pub(crate) fn follow(
        &mut self,
        mut reader: Box<dyn ReadSeek>,
        length: u64,
        guard: &Guard,
    ) -> io::Result<Box<dyn ReadSeek>> {
        let planned = self.plan(reader.as_mut(), length, guard)?;
        reader.rewind()?;
        let Some((url, holding)) = planned else {
            return Ok(reader);
        };
        let shared = Arc::new(Mutex::new(holding));
        self.following = Some((url, Arc::clone(&shared)));
        Ok(Box::new(Telling::new(reader, shared)))
    }

    /// The assertion that the file is to be held against still.
    pub(super) fn awaited(&self) -> Option<&String> {
        let followed = self.following.as_ref().map(|(url, _)| url);
        let open = self.info.state == ManifestState::Unchecked;
        let unread = self.binding.as_ref().filter(|_| open);
        followed.or(unread.map(|(url, _)| url))
    }

    /// Holds it against all of the file, and its signer against the certificate `own`. What was read
    /// since [`Self::follow`] is not read again.
    ///
    /// # Errors
    /// What keeps the file from being read.
    pub(crate) fn hold(
        &mut self,
        reader: &mut dyn ReadSeek,
        length: u64,
        own: Option<&[u8]>,
        guard: &Guard,
    ) -> io::Result<()> {
        if self.following.is_none() {
            let planned = self.plan(reader, length, guard)?;
            self.following = planned.map(|(url, holding)| (url, Arc::new(Mutex::new(holding))));
        }
        let Some((url, holding)) = &self.following else {
            return Ok(());
        };
        let mut holding = holding.lock().unwrap_or_else(PoisonError::into_inner);
        let held = holding.finish(reader, guard)?;
        let url = url.clone();
        drop(holding);
        self.following = None;
        self.found(url, held, own);
        Ok(())
    }

    /// What of the file has to be read; `None` where that would tell nothing more.
    fn plan(
        &mut self,
        reader: &mut dyn ReadSeek,
        length: u64,
        guard: &Guard,
    ) -> io::Result<Option<(String, Holding)>> {
        if self.info.state != ManifestState::Unchecked {
            return Ok(None);
        }
        let Some((url, binding)) = self.binding.take() else {
            return Ok(None);
        };
        let planned = match binding {
            Ok(binding) => binding.plan(reader, length, guard)?,
            Err(why) => Err(HardBinding::NotFollowed(why)),
        };
        match planned {
            Ok(holding) => Ok(Some((url, holding))),
            Err(held) => {
                self.found(url, held, None);
                Ok(None)
            }
        }
    }

    fn found(&mut self, url: String, held: HardBinding, own: Option<&[u8]>) {
        match held {
            HardBinding::NotFollowed(why) => self.settle(why),
            HardBinding::Mismatch => {
                self.find(ANOTHER, url, false);
                self.settle(ANOTHER);
                self.info.state = ManifestState::Invalid;
            }
            HardBinding::Match => {
                self.find(WHOLE, url, true);
                self.info.why = None;
                let is_own = own.is_some_and(|own| self.certificate.as_deref() == Some(own));
                self.info.state = match is_own {
                    true => ManifestState::Trusted,
                    false => ManifestState::Valid,
                };
            }
        }
    }

    /// As an ingredient of what is made of the file; its findings say what was found out. While that
    /// is awaited, the longest that may come of it.
    pub(super) fn ingredient(&self, format: &'static str) -> Ingredient {
        let known = |is_own: bool| self.as_ingredient(format, self.findings.clone(), is_own);
        let Some(url) = self.awaited() else {
            return known(self.info.state == ManifestState::Trusted);
        };
        let outcomes = [
            (WHOLE, true, true),
            (WHOLE, true, false),
            (ANOTHER, false, false),
        ];
        let possible = outcomes.into_iter().map(|(code, good, is_own)| {
            let url = url.clone();
            let last = Finding { code, url, good };
            let findings = self.findings.iter().cloned().chain([last]);
            self.as_ingredient(format, findings.collect(), is_own)
        });
        let longest = possible.max_by_key(|one| one.assertion("componentOf").encoded().len());
        longest.unwrap_or_else(|| known(false))
    }

    fn as_ingredient(
        &self,
        format: &'static str,
        mut findings: Vec<Finding>,
        is_own: bool,
    ) -> Ingredient {
        if let Some(links) = &self.links {
            let url = format!("self#jumbf=/c2pa/{}/c2pa.signature", links.label);
            let code = match is_own {
                true => "signingCredential.trusted",
                false => UNTRUSTED,
            };
            let good = is_own;
            findings.push(Finding { code, url, good });
        }
        Ingredient {
            format,
            findings: Some(findings),
            links: self.links.clone().filter(|_| !self.kept.is_empty()),
        }
    }
}
