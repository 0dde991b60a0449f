//! Connects to hosts by name, as this machine knows names.
//!
//! `getent` is asked. The agent is linked statically when it is packaged, and a static program can't load the libraries that a
//! machine may have in use for names (mDNS, systemd-resolved, a company's own), so it would know other names than every
//! other program there.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::command::{CommandError, Invocation};

/// On every Debian: its package is one of those without which there is none.
pub(super) const GETENT: &str = "/usr/bin/getent";

/// With what `getent` ends when it has no answer. For a host that may also be because no server of names answers.
pub(super) const UNKNOWN: i32 = 2;

/// Connects to `host:port`: to the first of the host's addresses that accepts.
///
/// # Errors
/// When it is not of that form, nobody knows the name, or no address accepts.
pub async fn connect(address: &str) -> io::Result<TcpStream> {
    if let Ok(address) = address.parse::<SocketAddr>() {
        return TcpStream::connect(address).await;
    }
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let Some((host, port)) = parts else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{address} is not host:port")));
    };
    let addresses: Vec<SocketAddr> =
        resolve(host).await?.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    TcpStream::connect(&*addresses).await
}

/// The addresses of a host, those first that should be tried first. There is at least one.
///
/// # Errors
/// When nobody knows the name.
pub async fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![ip]);
    }
    let unknown = || {
        io::Error::other(format!("the host {host} was not found: there is none, or no name server answers"))
    };
    let said = match Invocation::new(GETENT, ["ahosts", "--", host]).run().await {
        Ok(said) => said,
        Err(CommandError::Failed { status, .. }) if status.code() == Some(UNKNOWN) => return Err(unknown()),
        Err(error) => return Err(io::Error::other(error)),
    };
    let addresses = addresses(&said);
    if addresses.is_empty() { Err(unknown()) } else { Ok(addresses) }
}

/// What `getent ahosts` lists: each address once for each kind of socket.
fn addresses(said: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for ip in said.lines().filter_map(|line| line.split_ascii_whitespace().next()?.parse().ok()) {
        if !found.contains(&ip) {
            found.push(ip);
        }
    }
    found
}

/// For the HTTP client.
#[derive(Debug)]
pub struct Resolver;

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            let found = resolve(name.as_str()).await?;
            // The client knows the port.
            Ok(Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))) as reqwest::dns::Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn each_address_is_taken_once_and_in_order() {
        let said = "::1             STREAM localhost\n::1             DGRAM  \n::1             RAW    \n\
                    127.0.0.1       STREAM \n127.0.0.1       DGRAM  \nfe80::1%eth0    STREAM \n";
        assert_eq!(addresses(said), ["::1".parse::<IpAddr>().unwrap(), "127.0.0.1".parse().unwrap()]);
        assert_eq!(addresses(""), [] as [IpAddr; 0]);
    }

    #[tokio::test]
    async fn a_host_is_reached_by_name_and_by_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost"] {
            let tcp = connect(&format!("{host}:{port}")).await.unwrap();
            assert_eq!(tcp.peer_addr().unwrap(), listener.local_addr().unwrap(), "{host}");
        }
        assert_eq!(resolve("::1").await.unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_named_and_none_is_an_option() {
        // Longer than a part of a name may be, so that nobody is asked.
        let name = "a".repeat(64);
        let error = connect(&format!("{name}:1")).await.unwrap_err().to_string();
        assert!(error.contains(&name) && error.contains("was not found"), "{error}");
        for address in ["--help:1", "-s:1", ":1", "localhost", "localhost:x"] {
            assert!(connect(address).await.is_err(), "{address}");
        }
    }
}
