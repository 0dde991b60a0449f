//! Sessions and their terminals, from a WebSocket through gateway, door and ttyd to tmux and back.

mod bytes;
mod company;
mod control;
mod exec;
mod herd;
mod hostile;
mod hostile_floods;
mod hostile_http;
mod liveness;
mod network;
mod orphans;
mod rights;
mod screens;
mod sessions;
mod stalls;
mod survival;
mod upload;
mod whole_way;
