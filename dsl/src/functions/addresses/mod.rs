//! Functions of IP addresses.
//!
//! The types are those of `core`, which has addresses and no sockets.

mod cidr_contains;
mod classes;
mod parse_ip;

use core::net::{IpAddr, Ipv4Addr};

use super::Group;

pub(super) static ADDRESSES: Group = Group {
    title: "IP addresses",
    doc: "Addresses are text, IPv4 or IPv6. An IPv6 address that holds an IPv4 one (`::ffff:10.0.0.1`) is that one, a \
          zone (`%eth0`) and brackets are left out. What is no address gives NULL.",
    functions: &[
        &cidr_contains::CIDR_CONTAINS,
        &classes::IS_LINK_LOCAL_IP,
        &classes::IS_LOOPBACK_IP,
        &classes::IS_MULTICAST_IP,
        &classes::IS_PRIVATE_IP,
        &classes::IS_PUBLIC_IP,
        &parse_ip::PARSE_IP,
    ],
};

/// The address that a text is.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let (bare, zone) = text.split_once('%').map_or((text, None), |(bare, zone)| (bare, Some(zone)));
    let address = bare.parse::<IpAddr>().ok()?.to_canonical();
    // Only IPv6 has zones.
    (zone.is_none() || bare.contains(':')).then_some(address)
}

/// An address in 128 bits, IPv4 as `::ffff:0:0/96`.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// A network: its first bits and how many of them count.
#[derive(Clone, Copy)]
struct Network {
    bits: u128,
    len: u32,
    v4: bool,
}

impl Network {
    /// Reads `10.0.0.0/8` or `fe80::/10`; a bare address is a network of itself. Bits beyond the length do not count.
    fn parse(text: &str) -> Option<Self> {
        let (base, len) = text.split_once('/').map_or((text, None), |(base, len)| (base, Some(len)));
        let parsed = base.parse::<IpAddr>().ok()?;
        let most = if parsed.is_ipv4() { 32 } else { 128 };
        let len = match len {
            None => most,
            Some(len) if !len.is_empty() && len.bytes().all(|byte| byte.is_ascii_digit()) => {
                len.parse::<u32>().ok().filter(|len| *len <= most)?
            }
            Some(_) => return None,
        };
        let len = if parsed.is_ipv4() { len + 96 } else { len };
        let bits = bits(parsed);
        let v4 = len >= 96 && bits >> 32 == bits_of_v4() >> 32;
        Some(Self { bits, len, v4 })
    }

    fn contains(self, address: IpAddr) -> bool {
        // `::/0` is every IPv6 address, and no IPv4 one.
        self.v4 == address.is_ipv4() && (self.bits ^ bits(address)).checked_shr(128 - self.len).unwrap_or(0) == 0
    }
}

fn bits_of_v4() -> u128 {
    bits(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        for (network, ip, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "8.8.8.8", false),
            ("::/0", "fe80::1", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1/32", "192.0.2.2", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("fe80::/10", "fe80::1%eth0", true),
            ("2001:db8::/32", "[2001:db8::5]", true),
        ] {
            let found = Network::parse(network).unwrap().contains(address(ip).unwrap());
            assert_eq!(found, expected, "{network} {ip}");
        }
    }

    #[test]
    fn what_is_no_network_or_address_is_refused() {
        for text in ["10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/+8", "", "a", "10.0.0.0/8/8"] {
            assert!(Network::parse(text).is_none(), "{text}");
        }
        for text in ["", "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4%eth0", "::g", " 1.2.3.4"] {
            assert!(address(text).is_none(), "{text}");
        }
    }
}
