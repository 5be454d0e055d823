//! The rule for requests to addresses that somebody else chose: inputs, the provider's outputs,
//! webhooks.
//!
//! Only https and only public addresses, so that nobody makes this service read the metadata
//! server of its cloud or the machines beside it. The check is made where it cannot be gone
//! round: on the written address, on every address DNS gives (the connection is made to exactly
//! those), and again on each redirect. Loopback, and http to loopback, is a setting of the
//! single-machine mode.
//!
//! Architecture invariant: no other module builds a client for foreign addresses.

mod fetch;
mod rate;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use url::{Host, Url};

pub use fetch::{FetchError, Fetched, Fetcher, WebFetcher};
pub use rate::{LeastRate, at_least};

/// How far a request may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRules {
    /// Loopback addresses may be reached, by http too.
    pub allow_loopback: bool,
    /// Redirects followed; each target is checked like the first address.
    pub max_redirects: usize,
    pub connect_timeout: Duration,
    /// Longest silence between two reads.
    pub read_timeout: Duration,
    /// Longest time for the whole request, body included.
    pub total_timeout: Duration,
}

impl Default for OutgoingRules {
    /// Strict, and sized for a small answer; downloads raise `total_timeout`.
    fn default() -> Self {
        Self {
            allow_loopback: false,
            max_redirects: 0,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(60),
        }
    }
}

/// Why an address is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
    #[error("only https addresses are called")]
    Scheme,
    #[error("an address must not hold a user name or password")]
    Credentials,
    #[error("the address names no host")]
    NoHost,
    #[error("the address does not lead to the public internet")]
    NotPublic,
    #[error("more than {0} redirects")]
    Redirects(usize),
}

/// Checks an address as written. Names are checked again once DNS has answered.
pub fn check_url(url: &Url, allow_loopback: bool) -> Result<(), AddressRefused> {
    let host = url.host().ok_or(AddressRefused::NoHost)?;
    let loopback = match &host {
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => IpAddr::V6(*ip).to_canonical().is_loopback(),
        Host::Domain(name) => is_localhost(name),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback && allow_loopback => {}
        // Which of the two is wrong is told by the one that can be mended: the scheme of a
        // public address, the place of a private one.
        "http" if loopback => return Err(AddressRefused::NotPublic),
        _ => return Err(AddressRefused::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressRefused::Credentials);
    }
    let fits = match host {
        Host::Ipv4(ip) => may_connect(IpAddr::V4(ip), allow_loopback),
        Host::Ipv6(ip) => may_connect(IpAddr::V6(ip), allow_loopback),
        Host::Domain(_) => !loopback || allow_loopback,
    };
    if fits {
        Ok(())
    } else {
        Err(AddressRefused::NotPublic)
    }
}

/// RFC 6761: `localhost` and everything below it is loopback, whatever DNS says.
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

fn may_connect(ip: IpAddr, allow_loopback: bool) -> bool {
    is_public(ip) || (allow_loopback && ip.to_canonical().is_loopback())
}

/// Whether an address belongs to the public internet, after IANA's special-purpose registries
/// (RFC 6890 and its successors). An IPv6 address that carries an IPv4 one is judged by it.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(a == 0
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        // Shared by carriers, RFC 6598.
        || (a == 100 && (64..128).contains(&b))
        // Protocol assignments, and the retired 6to4 relays.
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        // Benchmarks, RFC 2544.
        || (a == 198 && (b == 18 || b == 19))
        // Reserved, and broadcast.
        || a >= 240)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    if let Some(mapped) = ip.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    // NAT64 (RFC 6052): how an IPv6-only network reaches IPv4.
    if s[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_public_v4(v4(s[6], s[7]));
    }
    // 6to4.
    if s[0] == 0x2002 {
        return is_public_v4(v4(s[1], s[2]));
    }
    // Only 2000::/3 is handed out for use; within it some blocks are not for the public.
    (s[0] & 0xe000) == 0x2000
        // 2001::/23: protocol assignments, Teredo among them.
        && !(s[0] == 0x2001 && s[1] < 0x0200)
        && !(s[0] == 0x2001 && s[1] == 0x0db8)
        && !(s[0] == 0x3fff && s[1] < 0x1000)
}

/// A client that keeps to `rules`. The first address must still pass [`check_url`]: a literal
/// IP address never meets the resolver.
pub fn client(rules: &OutgoingRules) -> reqwest::ClientBuilder {
    let OutgoingRules {
        allow_loopback,
        max_redirects,
        ..
    } = *rules;
    let redirects = if max_redirects == 0 {
        redirect::Policy::none()
    } else {
        redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > max_redirects {
                attempt.error(AddressRefused::Redirects(max_redirects))
            } else {
                match check_url(attempt.url(), allow_loopback) {
                    Ok(()) => attempt.follow(),
                    Err(refused) => attempt.error(refused),
                }
            }
        })
    };
    crate::tls::client()
        .user_agent(concat!("filmlab/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(rules.connect_timeout)
        .read_timeout(rules.read_timeout)
        .timeout(rules.total_timeout)
        .redirect(redirects)
        .referer(false)
        // Bytes as they lie there: a length that was promised must be the length that comes, and
        // a small body must not unpack into a large one.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        // A proxy would resolve names itself, behind the check.
        .no_proxy()
        .dns_resolver(Arc::new(PublicResolver { allow_loopback }))
}

/// The refusal behind a failed request, if that is why it failed.
#[must_use]
pub fn refusal(error: &reqwest::Error) -> Option<&AddressRefused> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(refused) = error.downcast_ref::<AddressRefused>() {
            return Some(refused);
        }
        source = error.source();
    }
    None
}

/// The system's DNS, without the answers that are not public.
struct PublicResolver {
    allow_loopback: bool,
}

impl fmt::Debug for PublicResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicResolver")
    }
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_loopback = self.allow_loopback;
        Box::pin(async move {
            // Port 0: the connector puts the right one in. Bounded by the connect timeout.
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| may_connect(address.ip(), allow_loopback))
                .collect();
            if allowed.is_empty() {
                return Err(AddressRefused::NotPublic.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_places_are_not_public() {
        for ip in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.0.1",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            assert!(!is_public(ip), "{ip}");
        }
        for ip in [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            assert!(is_public(ip), "{ip}");
        }
    }

    #[test]
    fn addresses_are_judged_as_written() {
        use AddressRefused::{Credentials, NotPublic, Scheme};
        let cases = [
            ("https://example.com/a", Ok(()), Ok(())),
            ("http://example.com/a", Err(Scheme), Err(Scheme)),
            ("ftp://example.com/a", Err(Scheme), Err(Scheme)),
            ("http://127.0.0.1:8080/", Err(NotPublic), Ok(())),
            ("http://[::1]/", Err(NotPublic), Ok(())),
            ("http://localhost:1/", Err(NotPublic), Ok(())),
            ("https://a.localhost./", Err(NotPublic), Ok(())),
            // 127.0.0.1 and 10.0.0.1 in other spellings.
            ("https://2130706433/", Err(NotPublic), Ok(())),
            ("https://0x0a.1/", Err(NotPublic), Err(NotPublic)),
            ("https://169.254.169.254/x", Err(NotPublic), Err(NotPublic)),
            (
                "https://u:p@example.com/",
                Err(Credentials),
                Err(Credentials),
            ),
        ];
        for (text, strict, loopback) in cases {
            let url: Url = text.parse().unwrap();
            assert_eq!(check_url(&url, false), strict, "{text}");
            assert_eq!(check_url(&url, true), loopback, "{text}");
        }
    }

    async fn failure(url: &str, rules: &OutgoingRules) -> reqwest::Error {
        let client = client(rules).build().unwrap();
        client.get(url).send().await.unwrap_err()
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_after_dns() {
        let rules = OutgoingRules::default();
        let error = failure("http://localhost:9/", &rules).await;
        assert_eq!(refusal(&error), Some(&AddressRefused::NotPublic));
        // With the setting the name is resolved, and the connection itself fails.
        let rules = OutgoingRules {
            allow_loopback: true,
            ..rules
        };
        let error = failure("http://localhost:9/", &rules).await;
        assert!(error.is_connect() && refusal(&error).is_none(), "{error:?}");
    }

    #[tokio::test]
    async fn a_redirect_is_checked_like_the_first_address() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut buffer = [0; 1024];
                let _ = socket.read(&mut buffer).await;
                let _ = socket
                    .write_all(
                        b"HTTP/1.1 302 Found\r\nlocation: https://10.0.0.1/\r\n\
                          content-length: 0\r\nconnection: close\r\n\r\n",
                    )
                    .await;
            }
        });
        let rules = OutgoingRules {
            allow_loopback: true,
            max_redirects: 3,
            ..OutgoingRules::default()
        };
        let error = failure(&format!("http://{address}/"), &rules).await;
        assert_eq!(refusal(&error), Some(&AddressRefused::NotPublic));
    }
}
