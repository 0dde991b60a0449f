//! Who is who, what they may, and what is remembered of it: accounts, issuers, tokens, organisations, the audit record.

mod access;
mod accounts;
mod audit;
mod issuer;
mod issuer_flow;
mod keys;
mod limits;
mod matrix;
mod organizations;
mod shares;
mod tokens;
