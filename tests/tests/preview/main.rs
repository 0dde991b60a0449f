//! Dev servers on a box, seen through the gateway.

mod access;
mod conformance;
mod console;
mod hostile;
mod http;
mod links;
mod servers;
mod wire;
