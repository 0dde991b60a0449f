//! Boxes in one process: real TLS on loopback, with the agents' part played here.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use berth_protocol::ids::{InstanceId, RequestId, WorkspaceId};
use berth_protocol::tls::{ALPN_DOOR, Credentials, client_config, server_config, server_name};
use berth_protocol::trust::{Admit, Dates, PeerVerifier};
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use super::control::Command;
use super::dial::Meeting;
use super::exchange::DoorConnection;
use super::*;
use crate::trust::tests::Fixture;

/// What a door answers when it is asked for its status.
const STATUS: &str = include_str!("../../protocol/data/v1/door_status.json");

/// Loopback addresses that no other test uses.
const PUBLIC: &str = "127.77.5.1";
const TAILSCALE: &str = "127.77.5.2";

/// A gateway's part of an installation.
struct Here {
    trusted: Fixture,
    metrics: Arc<Metrics>,
    boxes: Boxes,
}

impl Here {
    fn new() -> Self {
        let trusted = Fixture::new(1);
        let dialer = Dialer::new(trusted.installation.clone(), trusted.trust.clone());
        let metrics = Arc::new(Metrics::default());
        let boxes = Boxes::new(dialer, Changes::default(), metrics.clone(), CancellationToken::new());
        Self { trusted, metrics, boxes }
    }

    fn roots(&self) -> Vec<CertificateDer<'static>> {
        self.trusted.trust.now().roots().to_vec()
    }

    fn credentials(&self, instance: &InstanceId) -> Credentials {
        self.trusted.box_credentials(instance, 0)
    }

    /// A box's side of TLS.
    fn door_acceptor(&self, instance: &InstanceId) -> TlsAcceptor {
        let admit = Admit::AnyGateway(self.trusted.installation.clone());
        let verifier = PeerVerifier::new(self.roots(), admit, Dates::Ignored);
        TlsAcceptor::from(server_config(self.credentials(instance), verifier, &[ALPN_DOOR]).unwrap())
    }

    /// Opens a box's door at an address.
    fn open_door(&self, instance: &InstanceId, listener: TcpListener) -> JoinHandle<()> {
        let acceptor = self.door_acceptor(instance);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                if let Ok(tls) = acceptor.accept(tcp).await {
                    tokio::spawn(be_a_door(tls.into()));
                }
            }
        })
    }

    /// A connection that a box dialled, as the link listener hands it over. Its door works.
    async fn dialled_by(&self, instance: &InstanceId) -> BoxStream {
        let (near, far) = self.dialled(instance).await;
        tokio::spawn(be_a_door(near));
        far
    }

    /// The same, of a box that says these bytes whenever it is asked.
    async fn dialled_by_who(&self, instance: &InstanceId, answer: &'static [u8]) -> BoxStream {
        let (near, far) = self.dialled(instance).await;
        tokio::spawn(says(near, answer));
        far
    }

    /// Both ends of a connection that a box dialled: the box's and the gateway's.
    async fn dialled(&self, instance: &InstanceId) -> (BoxStream, BoxStream) {
        let roots = self.roots();
        let gateways = Admit::AnyGateway(self.trusted.installation.clone());
        let verifier = PeerVerifier::new(roots, gateways, Dates::Ignored);
        let client = client_config(Some(self.credentials(instance)), verifier, ALPN_DOOR).unwrap();
        let server = self.trusted.trust.now().listener();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let near = async {
            let tcp = TcpStream::connect(address).await.unwrap();
            TlsConnector::from(Arc::new(client)).connect(server_name(), tcp).await.unwrap()
        };
        let far = async {
            let (tcp, _) = listener.accept().await.unwrap();
            TlsAcceptor::from(server).accept(tcp).await.unwrap()
        };
        let (near, far) = tokio::join!(near, far);
        (near.into(), far.into())
    }

    fn handle(&self, instance: &Instance) -> Arc<BoxHandle> {
        let dialer = self.boxes.dialer.clone();
        BoxHandle::new(instance, dialer, self.metrics.clone(), CancellationToken::new())
    }
}

async fn be_a_door(stream: BoxStream) {
    let service = service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(STATUS)))));
    // The gateway drops connections whenever it likes.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn instance(door: Option<SocketAddr>) -> Instance {
    Instance {
        id: InstanceId::random(),
        workspace: WorkspaceId::random(),
        epoch: 1,
        public_ip: door.map(|_| PUBLIC.parse().unwrap()),
        tailscale_ip: door.map(|address| address.ip()),
        door_port: door.map(|address| address.port()),
        agent_version: None,
        telemetry: None,
        certificate_ca: None,
    }
}

#[tokio::test]
async fn a_better_way_that_comes_back_is_found_after_a_while() {
    let here = Here::new();
    let listener = TcpListener::bind((TAILSCALE, 0)).await.unwrap();
    let instance = instance(Some(listener.local_addr().unwrap()));
    let port = listener.local_addr().unwrap().port();
    let _tailnet = here.open_door(&instance.id, listener);
    let handle = here.handle(&instance);
    handle.probe().await;
    assert_eq!(handle.presence().route, Some(Route::Tailscale));

    let _public = here.open_door(&instance.id, TcpListener::bind((PUBLIC, port)).await.unwrap());
    handle.probe().await;
    assert_eq!(handle.presence().route, Some(Route::Tailscale), "what works is left alone");
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(5)).await;
    tokio::time::resume();
    handle.probe().await;
    assert_eq!(handle.presence().route, Some(Route::Public));
}

#[tokio::test]
async fn a_box_that_dials_back_answers_for_itself_alone() {
    let here = Here::new();
    let (asked, other) = (instance(None), instance(None));
    here.boxes.learn(&asked);
    here.boxes.learn(&other);
    let mut wanted = here.boxes.link_begun(&asked.id);
    assert_eq!(wanted.recv().await, Some(()));
    // Another box is faster, and is not let in in place of the one that was asked.
    here.boxes.dialled_back(&other.id, here.dialled_by(&other.id).await);
    assert_eq!(here.metrics.dial_backs_dropped.get(), 1);
    // Neither is one that was never enrolled, or that owns nothing any more.
    let stranger = InstanceId::random();
    here.boxes.dialled_back(&stranger, here.dialled_by(&stranger).await);

    here.boxes.dialled_back(&asked.id, here.dialled_by(&asked.id).await);
    assert_eq!(wanted.recv().await, Some(()), "a second one is to be ready");
    here.boxes.dialled_back(&asked.id, here.dialled_by(&asked.id).await);
    let handle = here.boxes.of(&asked.workspace).unwrap();
    tokio::time::timeout(Duration::from_secs(30), async {
        while handle.presence().route != Some(Route::DialBack) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(here.metrics.dial_backs_dropped.get(), 1);
}

#[tokio::test]
async fn a_box_is_offline_once_its_link_and_its_connections_are_gone() {
    let here = Here::new();
    let instance = instance(None);
    let handle = here.handle(&instance);
    let mut wanted = handle.link_begun();
    let probed = async {
        tokio::select! {
            () = handle.probe() => {}
            () = async {
                while wanted.recv().await.is_some() {
                    handle.dialled_back(here.dialled_by(&instance.id).await);
                }
            } => panic!("the link ended"),
        }
    };
    probed.await;
    assert_eq!(handle.presence().route, Some(Route::DialBack));
    wanted.close();
    handle.drop_warm();
    let begun = std::time::Instant::now();
    handle.probe().await;
    assert_eq!((handle.presence().state, handle.presence().route), (PresenceState::Offline, None));
    assert!(begun.elapsed() < Duration::from_secs(3), "nobody is waited for who can't be asked");
}

/// A box that answers every request with these bytes, and says when the gateway closes.
async fn says(stream: BoxStream, answer: &'static [u8]) {
    let mut stream = stream;
    let mut asked = [0; 4096];
    while stream.read(&mut asked).await.is_ok_and(|size| size > 0) {
        stream.write_all(answer).await.unwrap();
        stream.flush().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_is_used_again_only_if_nothing_is_left_on_it() {
    let here = Here::new();
    let instance = instance(None);
    let ask = async |answer: &'static [u8]| {
        let connection =
            DoorConnection::new(here.dialled_by_who(&instance.id, answer).await, Route::DialBack);
        let command = Command::backup_read("/state", &RequestId::random());
        control::ask(connection, &command).await
    };
    let (answer, connection) = ask(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    assert_eq!(answer.unwrap(), "{}");
    assert!(connection.unwrap().is_open());
    let (answer, connection) = ask(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK").await;
    assert_eq!(answer.unwrap(), "{}");
    assert!(connection.is_none(), "the next answer would begin with what was left");
    let (answer, connection) = ask(b"nonsense\r\n\r\n").await;
    assert!(matches!(answer, Err(DoorError::Lost(_))) && connection.is_none(), "{answer:?}");
}

#[tokio::test]
async fn what_follows_the_agreement_to_a_stream_is_its_beginning() {
    let here = Here::new();
    let instance = instance(None);
    let answer = b"HTTP/1.1 200 OK\r\n\r\nearly";
    let connection = DoorConnection::new(here.dialled_by_who(&instance.id, answer).await, Route::DialBack);
    let mut stream = door::open_port(connection, 3000, &RequestId::random()).await.unwrap();
    let mut beginning = stream.leftover.to_vec();
    while beginning.len() < 5 {
        stream.io.read_buf(&mut beginning).await.unwrap();
    }
    assert_eq!(beginning, b"early");
}

#[tokio::test]
async fn a_warm_connection_that_its_box_has_closed_is_passed_over() {
    let here = Here::new();
    let instance = instance(None);
    let (mut near, far) = here.dialled(&instance.id).await;
    let mut warm = DoorConnection::new(far, Route::DialBack);
    assert!(warm.is_open());
    near.shutdown().await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), async {
        while warm.is_open() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[test]
fn connections_with_a_box_share_their_settings_as_long_as_its_certificate_is_of_one_ca() {
    let here = Here::new();
    let (dialer, id) = (&here.boxes.dialer, InstanceId::random());
    let mut meeting = Meeting::under(None);
    let first = meeting.config(dialer, &id).unwrap();
    assert!(Arc::ptr_eq(&first, &meeting.config(dialer, &id).unwrap()));
    meeting.moved(None);
    assert!(Arc::ptr_eq(&first, &meeting.config(dialer, &id).unwrap()));
    meeting.moved(Some("another"));
    assert!(!Arc::ptr_eq(&first, &meeting.config(dialer, &id).unwrap()));
}

#[tokio::test]
async fn a_nudge_is_not_lost_when_somebody_else_finds_out_meanwhile() {
    let here = Here::new();
    let listener = TcpListener::bind((TAILSCALE, 0)).await.unwrap();
    let instance = instance(Some(listener.local_addr().unwrap()));
    let handle = here.handle(&instance);
    let page = tokio::spawn({
        let handle = handle.clone();
        async move { handle.answers().await }
    });
    // The page's question is on its way, so the prober takes its first nudge and waits.
    let (tcp, _) = listener.accept().await.unwrap();
    tokio::spawn(probe(handle.clone(), Changes::default(), here.metrics.clone()));
    tokio::task::yield_now().await;
    tokio::spawn(be_a_door(here.door_acceptor(&instance.id).accept(tcp).await.unwrap().into()));
    let _door = here.open_door(&instance.id, listener);
    assert!(page.await.unwrap());
    // Before the time of a probe that nobody asked for.
    tokio::time::timeout(Duration::from_secs(10), async {
        let asked_again = |presence: &Presence| presence.generation == 2;
        handle.watch().wait_for(asked_again).await.unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_box_is_asked_every_fifteen_seconds() {
    let here = Here::new();
    let instance = instance(None);
    here.boxes.learn(&instance);
    let mut presence = here.boxes.of(&instance.workspace).unwrap().watch();
    let begun = tokio::time::Instant::now();
    for (probe, second) in [(1, 0), (2, 15), (3, 30)] {
        presence.wait_for(|presence| presence.generation == probe).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), second, "probe {probe}");
    }
}
