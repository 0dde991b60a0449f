//! What an operator meets: starting, faults, certificates, logs and metrics, and an API description that is true.

mod description;
mod faults;
mod http2;
mod https;
mod observability;
mod start;
