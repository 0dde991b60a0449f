//! The web UI in a real browser, with real boxes behind it.

mod account;
mod attention;
mod audit;
mod backup;
mod company;
mod endings;
mod environment;
mod frames;
mod inbox;
mod links;
mod network;
mod people;
mod phone;
mod preview;
mod preview_share;
mod programs;
mod terminal;
mod upload;
mod work;
