//! The kernel's tables of TCP sockets, as `/proc/net/tcp` and `/proc/net/tcp6` show them: for machines on which it
//! can't be asked directly (`diag`). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The state of a socket that listens.
const LISTEN: &str = "0A";

/// A socket that listens where the door can reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Its port.
    pub port: u16,
    /// The kernel's number for it, by which its process is found.
    pub inode: u64,
}

/// The listeners of a user in a table. Lines that are not understood are passed over.
#[must_use]
pub fn listeners(table: &str, uid: u32) -> Vec<Listener> {
    table.lines().skip(1).filter_map(|line| listener(line, uid)).collect()
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`
fn listener(line: &str, uid: u32) -> Option<Listener> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != LISTEN || fields.nth(3)?.parse() != Ok(uid) {
        return None;
    }
    let inode = fields.nth(1)?.parse().ok()?;
    let (address, port) = local.split_once(':')?;
    is_within_reach(ip(address)?).then_some(())?;
    Some(Listener { port: u16::from_str_radix(port, 16).ok()?, inode })
}

/// The door dials 127.0.0.1 and ::1.
pub(super) fn is_within_reach(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST
}

/// Words of 32 bits in the machine's own order.
fn ip(text: &str) -> Option<IpAddr> {
    let mut bytes = [0u8; 16];
    let words = text.len() / 8;
    if !text.is_ascii() || !text.len().is_multiple_of(8) || words > 4 {
        return None;
    }
    for (index, place) in bytes.chunks_exact_mut(4).take(words).enumerate() {
        let word = u32::from_str_radix(&text[index * 8..index * 8 + 8], 16).ok()?;
        place.copy_from_slice(&word.to_ne_bytes());
    }
    match words {
        1 => Some(IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]])),
        4 => Some(Ipv6Addr::from(bytes).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn line(local: &str, state: &str, uid: u32) -> String {
        format!(
            "   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  {uid}        0 4711 1 0 100 0 0 10 0\n"
        )
    }

    fn ports(local: &str, state: &str, uid: u32) -> Vec<u16> {
        let table = format!("{HEAD}{}", line(local, state, uid));
        listeners(&table, 1000).into_iter().map(|listener| listener.port).collect()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn listeners_that_the_door_can_reach_are_found() {
        for local in [
            "0100007F:1435",
            "00000000:1435",
            "00000000000000000000000000000000:1435",
            "00000000000000000000000001000000:1435",
            "0000000000000000FFFF00000100007F:1435",
            "0000000000000000FFFF000000000000:1435",
        ] {
            assert_eq!(ports(local, "0A", 1000), [5173], "{local}");
        }
        for local in ["3500007F:0035", "0101A8C0:1435", "000080FE00000000FF005450B4B6F2FE:1435"] {
            assert_eq!(ports(local, "0A", 1000), Vec::<u16>::new(), "{local} can't be reached");
        }
        assert!(ports("0100007F:1435", "01", 1000).is_empty(), "a connection");
        assert!(ports("0100007F:1435", "0A", 0).is_empty(), "another user's");
        let found = listeners(&format!("{HEAD}{}", line("0100007F:1435", "0A", 1000)), 1000);
        assert_eq!(found, [Listener { port: 5173, inode: 4711 }]);
    }

    #[test]
    fn what_is_no_table_has_no_listeners() {
        for table in ["", HEAD, "x\ny", "x\n0: : 0 0A", "x\n0: é0000000:0 0 0A 0 0 0 1000 0 1"] {
            assert!(listeners(table, 1000).is_empty(), "{table:?}");
        }
        assert!(ports("0100007:1435", "0A", 1000).is_empty());
        assert!(ports("0100007F:", "0A", 1000).is_empty());
    }

    #[test]
    fn this_machines_own_table_is_understood() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let found = listeners(&table, nix::unistd::Uid::effective().as_raw());
        assert!(found.iter().any(|listener| listener.port == port), "{found:?}");
    }
}
