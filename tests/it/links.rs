//! Links as signed and checked, without a service around them.

use std::sync::Arc;
use std::time::Duration;

use filmlab::clock::{Clock as _, ManualClock, Timestamp};
use filmlab::storage::links::{HmacLinks, InvalidLinkSettings};
use filmlab::storage::{LinkRefused, LinkSigner as _, LinkVerifier as _, SignedLink};
use url::Url;

fn links(base: &str, key: &[u8]) -> (HmacLinks, ManualClock) {
    let clock = ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap());
    let links = HmacLinks::new(base.parse().unwrap(), key, Arc::new(clock.clone()));
    (links.unwrap(), clock)
}

/// Takes a link apart as the service that gets it would.
fn check(links: &HmacLinks, url: &Url, now: Timestamp) -> Result<(), LinkRefused> {
    let path = percent_encoding::percent_decode_str(url.path())
        .decode_utf8()
        .unwrap();
    let object = path.split_once("/files/").unwrap().1;
    let value = |name: &str| {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    links.verify(
        &SignedLink {
            object,
            expires_at_s: value("exp").unwrap().parse().unwrap(),
            name: value("name").as_deref(),
            signature: &value("sig").unwrap(),
        },
        now,
    )
}

#[tokio::test]
async fn links_open_until_they_end_whatever_the_name() {
    let (links, clock) = links("https://lab.example/under/here/", &[1; 32]);
    for object in ["results/a.mp4", "sources/u/ü b?c#d%41&e=f.mp4", "x"] {
        for name in [None, Some("a&b=c d\u{e9}\n.mp4")] {
            let url = links
                .sign(object, Duration::from_secs(60), name)
                .await
                .unwrap();
            assert!(url.path().starts_with("/under/here/files/"), "{url}");
            let now = clock.now();
            assert_eq!(check(&links, &url, now), Ok(()), "{url}");
            let end = now + Duration::from_secs(60);
            assert_eq!(check(&links, &url, end), Err(LinkRefused::Expired));
        }
    }
}

#[tokio::test]
async fn another_key_opens_nothing() {
    let (ours, clock) = links("https://lab.example", &[1; 32]);
    let (theirs, _) = links("https://lab.example", &[2; 32]);
    let url = theirs
        .sign("results/a.mp4", Duration::from_secs(60), None)
        .await
        .unwrap();
    assert_eq!(check(&ours, &url, clock.now()), Err(LinkRefused::Signature));
    // Not even whether it would have expired is told.
    let late = clock.now() + Duration::from_secs(600);
    assert_eq!(check(&ours, &url, late), Err(LinkRefused::Signature));
}

#[tokio::test]
async fn what_an_address_would_swallow_is_not_signed() {
    let (links, _) = links("https://lab.example", &[1; 32]);
    for object in ["", "a//b", "a/../b", "./a", "a\nb", "/a"] {
        let signed = links.sign(object, Duration::from_secs(60), None).await;
        assert!(signed.is_err(), "{object:?}");
    }
}

#[tokio::test]
async fn a_link_lasts_a_week_at_most() {
    let (links, clock) = links("https://lab.example", &[1; 32]);
    let url = links.sign("a", Duration::MAX, None).await.unwrap();
    let week = Duration::from_secs(7 * 24 * 3600);
    let before = clock.now() + week - Duration::from_secs(1);
    assert_eq!(check(&links, &url, before), Ok(()));
    assert_eq!(
        check(&links, &url, clock.now() + week),
        Err(LinkRefused::Expired)
    );
}

#[test]
fn weak_settings_are_refused() {
    let clock: filmlab::clock::SharedClock =
        Arc::new(ManualClock::at(Timestamp::from_second(0).unwrap()));
    let new = |base: &str, key: &[u8]| {
        HmacLinks::new(base.parse().unwrap(), key, Arc::clone(&clock)).err()
    };
    assert_eq!(
        new("https://a.example", b"short"),
        Some(InvalidLinkSettings::ShortKey)
    );
    assert_eq!(
        new("mailto:a@b.example", &[1; 32]),
        Some(InvalidLinkSettings::Base)
    );
    let links = HmacLinks::new("https://a.example".parse().unwrap(), &[77; 32], clock).unwrap();
    assert!(!format!("{links:?}").contains("77"));
}
