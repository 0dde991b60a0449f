//! The link: what one device sends comes out of the other, late or never.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_tun::Tun;

use super::Namespace;

/// The largest packet.
const MTU: usize = 1500;

/// Packets under way in one direction; a router's queue ends somewhere, too.
const QUEUE: usize = 2000;

/// Loss is the same at every run.
const SEED: u64 = 42;

/// What the link does to packets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// How long a packet takes, each way.
    pub delay: Duration,
    /// Of a hundred packets so many are lost.
    pub loss_percent: u8,
    /// Whether all are lost.
    pub cut: bool,
}

/// Two joined devices; they are gone when this is.
pub struct Link {
    weather: Arc<Mutex<Weather>>,
    /// Its thread moves the packets, so that a test that is busy does not hold them up.
    runtime: Option<Runtime>,
}

impl Link {
    /// Joins two namespaces, in fine weather.
    ///
    /// # Panics
    /// When a device can't be made.
    pub(super) fn join(near: (&Namespace, Ipv4Addr), far: (&Namespace, Ipv4Addr)) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let device = |(namespace, address): (&Namespace, Ipv4Addr)| {
            namespace.run(|| {
                let _entered = runtime.enter();
                let device =
                    Tun::builder().name("berth").address(address).netmask(Ipv4Addr::new(255, 255, 255, 0));
                let mut queues = device.up().build().expect("a TUN device");
                Arc::new(queues.pop().expect("a device has a queue"))
            })
        };
        let (near, far) = (device(near), device(far));
        let weather = Arc::new(Mutex::new(Weather::default()));
        runtime.spawn(carry(near.clone(), far.clone(), weather.clone(), SEED));
        runtime.spawn(carry(far, near, weather.clone(), SEED + 1));
        Self { weather, runtime: Some(runtime) }
    }

    /// Changes the weather for packets that set out from now on.
    pub fn set(&self, weather: Weather) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Within another runtime it must not wait for its tasks.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Takes packets from one device to the other.
async fn carry(from: Arc<Tun>, to: Arc<Tun>, weather: Arc<Mutex<Weather>>, seed: u64) {
    let (departures, mut arrivals) = mpsc::channel::<(Instant, Vec<u8>)>(QUEUE);
    tokio::spawn(async move {
        while let Some((due, packet)) = arrivals.recv().await {
            sleep_until(due).await;
            // A device that does not take a packet has lost it, as devices may.
            let _ = to.send_all(&packet).await;
        }
    });
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut buffer = [0; MTU];
    while let Ok(size) = from.recv(&mut buffer).await {
        let Weather { delay, loss_percent, cut } = *weather.lock().unwrap_or_else(PoisonError::into_inner);
        if cut || chance.u8(..100) < loss_percent {
            continue;
        }
        // A full queue loses what comes last.
        let _ = departures.try_send((Instant::now() + delay, buffer[..size].to_vec()));
    }
}
