//! Which addresses that come out of answers may be contacted.
//!
//! Such an address could name our own network (a metadata server, a database). A name is therefore
//! checked after it was resolved, in the resolver the connection itself uses, so that it cannot
//! resolve to one thing for the check and to another for the connection; an address written as
//! numbers is checked before, since no resolver ever sees it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The rules.
#[derive(Debug, Clone, Default)]
pub(super) struct Outgoing {
    /// Plain HTTP to this machine is allowed.
    pub(super) allow_loopback: bool,
    /// Neither rule applies to these hosts.
    pub(super) allow_hosts: Arc<[String]>,
}

impl Outgoing {
    /// Whether a request to `url` may be tried. Names are checked again when resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), String> {
        let host = url.host().ok_or("the address has no host")?;
        if self.is_exempt(url.host_str().unwrap_or_default()) {
            return match url.scheme() {
                "http" | "https" => Ok(()),
                scheme => Err(format!("{scheme} is not allowed")),
            };
        }
        let loopback = match host {
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
            Host::Domain(name) => name == "localhost",
        };
        if loopback {
            return if self.allow_loopback && matches!(url.scheme(), "http" | "https") {
                Ok(())
            } else {
                Err("it names this machine".into())
            };
        }
        if url.scheme() != "https" {
            return Err("only https is allowed".into());
        }
        let public = match host {
            Host::Ipv4(ip) => is_public(IpAddr::V4(ip)),
            Host::Ipv6(ip) => is_public(IpAddr::V6(ip)),
            Host::Domain(_) => true,
        };
        if public {
            Ok(())
        } else {
            Err("it is not a public address".into())
        }
    }

    fn is_exempt(&self, host: &str) -> bool {
        self.allow_hosts
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    fn admits(&self, host: &str, address: IpAddr) -> bool {
        if self.is_exempt(host) {
            return true;
        }
        // Only the name that always means this machine may resolve to it: any other name that
        // does is an attempt to reach it by a detour.
        if host == "localhost" {
            return self.allow_loopback && address.is_loopback();
        }
        is_public(address)
    }
}

impl Resolve for Outgoing {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let admitted: Vec<SocketAddr> = found
                .filter(|address| rules.admits(name.as_str(), address.ip()))
                .collect();
            if admitted.is_empty() {
                return Err("the host has no public address".into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is reachable on the public internet (IANA's special-purpose registries).
fn is_public(address: IpAddr) -> bool {
    match address {
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
        || ip.is_documentation()
        // Carrier-grade NAT, 100.64.0.0/10.
        || (a == 100 && (64..128).contains(&b))
        // Protocol assignments and 6to4 relays.
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        // Benchmarking, 198.18.0.0/15.
        || (a == 198 && (18..20).contains(&b))
        // Multicast, reserved, broadcast.
        || a >= 224)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let embedded = |high: u16, low: u16| {
        let [h1, h2] = high.to_be_bytes();
        let [l1, l2] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(h1, h2, l1, l2))
    };
    let segments = ip.segments();
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    match (a, b) {
        // NAT64: the IPv4 address is in the last 32 bits.
        (0x64, 0xff9b) if segments[2..6] == [0; 4] => embedded(segments[6], segments[7]),
        // 6to4: it follows the prefix.
        (0x2002, _) => embedded(segments[1], segments[2]),
        // 2001::/23 (Teredo, benchmarking …) and documentation.
        (0x2001, 0..=0x01ff | 0x0db8) | (0x3fff, 0..=0x0fff) => false,
        // Of the rest only 2000::/3 is global unicast.
        _ => (a & 0xe000) == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rules: &Outgoing, url: &str) -> bool {
        rules.check(&url.parse().expect("address")).is_ok()
    }

    #[test]
    fn only_public_addresses_over_https() {
        let rules = Outgoing::default();
        for good in [
            "https://d1q70pf5vjeyhc.cloudfront.net/predictions/x/1.mp4",
            "https://8.8.8.8/a",
            "https://[2606:4700::1111]/a",
        ] {
            assert!(allowed(&rules, good), "{good}");
        }
        for bad in [
            "http://example.com/a",
            "ftp://example.com/a",
            "https://localhost/a",
            "https://127.0.0.1/a",
            "https://127.1/a",
            "https://2130706433/a",
            "https://10.0.0.1/a",
            "https://172.16.9.9/a",
            "https://192.168.1.1/a",
            "https://169.254.169.254/computeMetadata/v1/",
            "https://100.64.0.1/a",
            "https://0.0.0.0/a",
            "https://198.18.0.1/a",
            "https://224.0.0.1/a",
            "https://255.255.255.255/a",
            "https://[::1]/a",
            "https://[::]/a",
            "https://[::ffff:10.0.0.1]/a",
            "https://[64:ff9b::a00:1]/a",
            "https://[2002:a00:1::]/a",
            "https://[fd00::1]/a",
            "https://[fe80::1]/a",
            "https://[2001:db8::1]/a",
        ] {
            assert!(!allowed(&rules, bad), "{bad}");
        }
    }

    #[test]
    fn loopback_and_named_hosts_are_allowed_by_setting_only() {
        let loopback = Outgoing {
            allow_loopback: true,
            ..Outgoing::default()
        };
        assert!(allowed(&loopback, "http://127.0.0.1:8080/a"));
        assert!(allowed(&loopback, "http://localhost:8080/a"));
        assert!(allowed(&loopback, "http://[::1]:8080/a"));
        assert!(!allowed(&loopback, "http://10.0.0.1/a"));
        assert!(!allowed(&loopback, "http://example.com/a"));

        let named = Outgoing {
            allow_hosts: Arc::new(["sandbox".to_owned()]),
            ..Outgoing::default()
        };
        assert!(allowed(&named, "http://sandbox:8080/a"));
        assert!(!allowed(&named, "file://sandbox/a"));
        assert!(!allowed(&named, "http://127.0.0.1/a"));
    }

    #[test]
    fn a_name_may_not_resolve_to_a_private_address() {
        let rules = Outgoing {
            allow_loopback: true,
            ..Outgoing::default()
        };
        let ip = |text: &str| text.parse::<IpAddr>().expect("ip");
        assert!(rules.admits("example.com", ip("93.184.215.14")));
        assert!(!rules.admits("example.com", ip("127.0.0.1")));
        assert!(!rules.admits("example.com", ip("10.0.0.1")));
        assert!(rules.admits("localhost", ip("127.0.0.1")));
        assert!(!rules.admits("localhost", ip("10.0.0.1")));
    }

    #[tokio::test]
    async fn the_resolver_itself_refuses() {
        let name: Name = "localhost".parse().expect("name");
        assert!(Outgoing::default().resolve(name).await.is_err());
    }
}
