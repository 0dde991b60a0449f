//! `gateway token`: makes, lists and revokes the owner's API tokens.

use std::time::Duration;

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::ids::TokenId;
use clap::Subcommand;
use serde_json::json;

use super::{invalid, open_failed};
use crate::api::token_created;
use crate::auth::{TOKEN_DAYS, new_token};
use crate::installation::open;
use crate::settings::Settings;
use crate::store::{ApiToken, Deed, Outcome, Scope, Scopes};

#[derive(Debug, Subcommand)]
pub(super) enum TokenVerb {
    /// Make a token for a program and print it, once
    Create {
        /// Its name
        name: String,
        /// What it may be used for: all, read or previews; may be said several times
        #[arg(long = "scope", value_name = "SCOPE", default_value = "read")]
        scopes: Vec<Scope>,
        /// For how many days
        #[arg(long, value_name = "N", default_value_t = 30,
              value_parser = clap::value_parser!(u16).range(i64::from(*TOKEN_DAYS.start())..=i64::from(*TOKEN_DAYS.end())))]
        days: u16,
    },
    /// List the tokens: id, name, scopes, end, last use
    List,
    /// Revoke a token
    Revoke {
        /// Its id, as `gateway token list` prints it
        id: TokenId,
    },
}

pub(super) async fn run(settings: &Settings, verb: &TokenVerb) -> Result<(), Fatal> {
    let store = open(settings).await.map_err(open_failed)?.store;
    let owner = store.owner().await.map_err(Fatal::with(Exit::State))?.id;
    match verb {
        TokenVerb::Create { name, scopes, days } => {
            if name.trim().is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
                return Err(invalid("a name has 1 to 64 characters, none of them a control character"));
            }
            let (secret, scopes) = (new_token(), Scopes::new(scopes.clone()));
            let lifetime = Duration::from_secs(u64::from(*days) * 24 * 3600);
            let made = store.create_token(owner, name.trim().to_owned(), scopes, &secret, lifetime).await;
            let made = made.map_err(Fatal::with(Exit::State))?;
            store.note(token_created(&made)).await.map_err(Fatal::with(Exit::State))?;
            println!("{secret}");
        }
        TokenVerb::List => {
            for token in store.tokens_of(owner).await.map_err(Fatal::with(Exit::State))? {
                println!("{}", line(&token));
            }
        }
        TokenVerb::Revoke { id } => {
            let revoked = store.revoke_token(owner, id.clone()).await.map_err(Fatal::with(Exit::State))?;
            revoked.ok_or_else(|| invalid(format!("there is no token {id}: see `gateway token list`")))?;
            let deed = Deed::new("token_revoked", Outcome::Done, json!({ "token": id }));
            store.note(deed).await.map_err(Fatal::with(Exit::State))?;
        }
    }
    Ok(())
}

/// Id, name, scopes, end and last use, divided by tabs.
fn line(token: &ApiToken) -> String {
    let time = |at_ms: i64| {
        jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| at_ms.to_string(), |at| format!("{at:.0}"))
    };
    let used = token.last_used_at_ms.map_or_else(|| "never".to_owned(), time);
    let name = token.name.escape_debug();
    format!("{}\t{name}\t{}\t{}\t{used}", token.id, token.scopes, time(token.expires_at_ms))
}
