//! `is_private_ip` and its relatives: which kind of address.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address;
use crate::functions::{Eval, Function, Gives, TEXT};
use crate::types::Type;

const fn entry(
    name: &'static str,
    doc: &'static str,
    examples: &'static [(&'static str, &'static str)],
    eval: Eval,
) -> Function {
    Function { name, args: &[("ip", TEXT)], returns: Gives::One(Type::Boolean), doc, examples, eval, ..Function::BASE }
}

pub(super) static IS_LINK_LOCAL_IP: Function = entry(
    "is_link_local_ip",
    "Whether it is in 169.254.0.0/16 or fe80::/10.",
    &[("is_link_local_ip('169.254.169.254')", "TRUE"), ("is_link_local_ip('10.0.0.1')", "FALSE")],
    |call| call.boolean(|row| address(row.text(0)).map(is_link_local)),
);

pub(super) static IS_LOOPBACK_IP: Function = entry(
    "is_loopback_ip",
    "Whether it is in 127.0.0.0/8 or ::1.",
    &[("is_loopback_ip('127.0.0.53')", "TRUE"), ("is_loopback_ip('::1')", "TRUE"), ("is_loopback_ip('x')", "NULL")],
    |call| call.boolean(|row| address(row.text(0)).map(|ip| ip.is_loopback())),
);

pub(super) static IS_MULTICAST_IP: Function = entry(
    "is_multicast_ip",
    "Whether it is in 224.0.0.0/4 or ff00::/8.",
    &[("is_multicast_ip('239.255.255.250')", "TRUE"), ("is_multicast_ip('8.8.8.8')", "FALSE")],
    |call| call.boolean(|row| address(row.text(0)).map(|ip| ip.is_multicast())),
);

pub(super) static IS_PRIVATE_IP: Function = entry(
    "is_private_ip",
    "Whether it is in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or fc00::/7.",
    &[
        ("is_private_ip('192.168.1.7')", "TRUE"),
        ("is_private_ip('fd00::1')", "TRUE"),
        ("is_private_ip('8.8.8.8')", "FALSE"),
        ("is_private_ip('')", "NULL"),
    ],
    |call| call.boolean(|row| address(row.text(0)).map(is_private)),
);

pub(super) static IS_PUBLIC_IP: Function = entry(
    "is_public_ip",
    "Whether it belongs to the internet: neither private, loopback, link-local, multicast, unspecified, shared by \
     carriers (100.64.0.0/10), for documentation or benchmarks, nor reserved.",
    &[("is_public_ip('8.8.8.8')", "TRUE"), ("is_public_ip('100.64.0.1')", "FALSE"), ("is_public_ip('::')", "FALSE")],
    |call| call.boolean(|row| address(row.text(0)).map(is_public)),
);

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

fn is_public(ip: IpAddr) -> bool {
    let elsewhere = is_private(ip) || is_link_local(ip) || ip.is_loopback() || ip.is_multicast() || ip.is_unspecified();
    let special = match ip {
        IpAddr::V4(v4) => is_special_v4(v4),
        IpAddr::V6(v6) => is_special_v6(v6),
    };
    !elsewhere && !special
}

fn is_special_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_documentation()
        || ip.is_broadcast()
        || matches!((a, b, c), (0 | 240..=255, ..) | (100, 64..=127, _) | (198, 18 | 19, _) | (192, 0, 0))
}

/// Only `2000::/3` is given out; of it `2001:db8::/32` and `3fff::/20` are for documentation, `2001:2::/48` for
/// benchmarks.
fn is_special_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, ..] = ip.segments();
    a & 0xe000 != 0x2000 || (a, b) == (0x2001, 0xdb8) || (a == 0x3fff && b < 0x1000) || (a, b, c) == (0x2001, 2, 0)
}
