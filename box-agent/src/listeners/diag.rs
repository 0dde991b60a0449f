//! Asks the kernel, by netlink (`sock_diag`), which TCP sockets listen.
//!
//! The kernel keeps those in a table of their own, so that a question costs some microseconds. `/proc/net/tcp`, which
//! says the same, walks the table of every connection as well: that has hundreds of thousands of places on a machine
//! of some size, empty ones too, and takes milliseconds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::table::{Listener, is_within_reach};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const REQUEST_ALL: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `IPPROTO_TCP`, and the bit of `TCP_LISTEN`.
const TCP: u8 = 6;
const LISTEN: u32 = 1 << 10;
/// `AF_INET` and `AF_INET6`.
const FAMILIES: [u8; 2] = [2, 10];

/// Bytes of `nlmsghdr`, and of `inet_diag_msg` behind it.
const HEADER: usize = 16;
const MESSAGE: usize = 72;

/// Room for one answer of the kernel, which sends no more than this at a time.
const ROOM: usize = 32 * 1024;

/// The kernel answers at once; a question without an answer must not hold the thread.
const PATIENCE_SECONDS: i64 = 2;

/// The listeners of a user, for IPv4 and IPv6.
///
/// # Errors
/// The kernel's, where netlink is not allowed or it has no `inet_diag`.
pub fn listeners(uid: u32) -> Result<Vec<Listener>, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let netlink =
        socket(AddressFamily::Netlink, SockType::Datagram, flags, Some(SockProtocol::NetlinkSockDiag))?;
    setsockopt(&netlink, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE_SECONDS))?;
    let mut found = Vec::new();
    for family in FAMILIES {
        ask(&netlink, family, uid, &mut found)?;
    }
    Ok(found)
}

fn ask(netlink: &OwnedFd, family: u8, uid: u32, found: &mut Vec<Listener>) -> Result<(), Errno> {
    send(netlink.as_raw_fd(), &question(family), MsgFlags::empty())?;
    let mut buffer = vec![0; ROOM];
    loop {
        let length = recv(netlink.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        if length == 0 || understood(&buffer[..length], uid, found)? {
            return Ok(());
        }
    }
}

/// `nlmsghdr` and `inet_diag_req_v2` for everything that listens.
fn question(family: u8) -> [u8; MESSAGE] {
    let mut bytes = [0; MESSAGE];
    bytes[..4].copy_from_slice(&(MESSAGE as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&REQUEST_ALL.to_ne_bytes());
    bytes[HEADER] = family;
    bytes[HEADER + 1] = TCP;
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&LISTEN.to_ne_bytes());
    bytes
}

/// Takes what one datagram says; whether it was the last.
fn understood(mut datagram: &[u8], uid: u32, found: &mut Vec<Listener>) -> Result<bool, Errno> {
    while let Some(header) = datagram.get(..HEADER) {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let Some(body) = datagram.get(HEADER..length) else { return Err(Errno::EBADMSG) };
        match kind {
            DONE => return Ok(true),
            ERROR => {
                let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                return Err(Errno::from_raw(-code));
            }
            BY_FAMILY => found.extend(listener(body).filter(|(_, of)| *of == uid).map(|(one, _)| one)),
            _ => {}
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// What an `inet_diag_msg` says, and whose socket it is.
fn listener(body: &[u8]) -> Option<(Listener, u32)> {
    let word = |at: usize| body.get(at..at + 4)?.first_chunk().copied();
    let port = u16::from_be_bytes(*body.get(4..6)?.first_chunk()?);
    let ip = match body.first()? {
        2 => IpAddr::from(Ipv4Addr::from(word(8)?)),
        _ => Ipv6Addr::from(*body.get(8..24)?.first_chunk::<16>()?).to_canonical(),
    };
    let (uid, inode) = (u32::from_ne_bytes(word(64)?), u32::from_ne_bytes(word(68)?));
    is_within_reach(ip).then_some((Listener { port, inode: inode.into() }, uid))
}

#[cfg(test)]
mod tests {
    use nix::unistd::Uid;

    use super::*;

    #[test]
    fn the_kernel_tells_the_same_as_its_tables() {
        let sockets = ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"];
        // A machine without IPv6 has the first two.
        let sockets: Vec<_> =
            sockets.iter().filter_map(|address| std::net::TcpListener::bind(address).ok()).collect();
        let foreign = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
        let uid = Uid::effective().as_raw();
        let found = listeners(uid).unwrap();
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap());
        let told: Vec<_> =
            tables.iter().flat_map(|table| super::super::table::listeners(table, uid)).collect();
        assert!(sockets.len() >= 2);
        for socket in &sockets {
            let port = socket.local_addr().unwrap().port();
            let of = |all: &[Listener]| all.iter().find(|one| one.port == port).copied();
            assert!(of(&found).is_some(), "{socket:?} is missing in {found:?}");
            assert_eq!(of(&found), of(&told), "{socket:?}");
        }
        let port = foreign.local_addr().unwrap().port();
        assert!(found.iter().all(|one| one.port != port), "127.0.0.2 can't be reached");
        assert!(listeners(uid.wrapping_add(12_345)).unwrap().iter().all(|one| one.port != port));
    }

    #[test]
    fn what_is_no_answer_is_an_error_and_never_a_listener() {
        let understood = |bytes: &[u8]| {
            let mut found = Vec::new();
            (understood(bytes, 0, &mut found), found)
        };
        let message = |kind: u16, body: &[u8]| {
            let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(body);
            bytes
        };
        assert_eq!(understood(&[]), (Ok(false), vec![]));
        assert_eq!(understood(&message(DONE, &[0; 4])), (Ok(true), vec![]));
        assert_eq!(understood(&message(ERROR, &(-13i32).to_ne_bytes())).0, Err(Errno::EACCES));
        assert_eq!(understood(&message(BY_FAMILY, &[2; 40])), (Ok(false), vec![]), "a short one");
        let mut lies = message(BY_FAMILY, &[0; 72]);
        lies[0] = 0xff;
        assert_eq!(understood(&lies).0, Err(Errno::EBADMSG));
        lies[..4].copy_from_slice(&3u32.to_ne_bytes());
        assert_eq!(understood(&lies).0, Err(Errno::EBADMSG), "a length that leads nowhere");
    }
}
