//! Whose account it is: by issuer and subject, and never by an e-mail address or a name, which change hands.

use serde_json::json;

use super::{Claims, Issuer, Refused};
use crate::app::App;
use crate::auth::user_name_of;
use crate::settings::NewUsers;
use crate::store::{CurrentUser, Deed, Newcomer, Outcome, StoreError, Subject};

/// The account that the issuer's words stand for. It is made if the settings say so; that is on the record.
///
/// # Errors
/// When the store fails. `Err` within: there is none, or it is blocked.
pub async fn account(
    app: &App,
    issuer: &Issuer,
    claims: &Claims,
) -> Result<Result<CurrentUser, Refused>, StoreError> {
    let subject = Subject { issuer: issuer.id().to_owned(), subject: claims.sub.clone() };
    if let Some((user, blocked)) = app.store.user_of_subject(subject.clone()).await? {
        return Ok(if blocked { Err(Refused::Blocked) } else { Ok(user) });
    }
    let Some(newcomer) = newcomer(issuer, claims) else { return Ok(Err(Refused::NoAccount)) };
    let (user, made) = match app.store.add_user_of_subject(subject, newcomer).await {
        // Accounts that are nobody's are not made; the operator made no such organisation.
        Err(StoreError::NoSuchOrganization(organization)) => {
            tracing::warn!(%organization, "issuer.organization: there is no such organisation, so a newcomer is refused");
            return Ok(Err(Refused::NoAccount));
        }
        added => added?,
    };
    if made {
        tracing::info!(user = %user.id, "account made for a user of the issuer");
        let detail = json!({ "by": "issuer", "name": user.name, "issuer": issuer.id() });
        app.store.note(Deed::new("user_added", Outcome::Done, detail).by(user.id.clone())).await?;
    }
    Ok(Ok(user))
}

/// Who somebody will be who was never here, if they may be.
fn newcomer(issuer: &Issuer, claims: &Claims) -> Option<Newcomer> {
    let settings = issuer.settings();
    if settings.new_users == NewUsers::Refuse {
        return None;
    }
    let domains = &settings.email_domains;
    if !domains.is_empty() && !claims.verified_domain().is_some_and(|domain| domains.contains(&domain)) {
        return None;
    }
    let mailbox = claims.email.as_ref().and_then(|email| email.split('@').next());
    let wishes = [claims.preferred_username.as_deref(), mailbox, claims.name.as_deref()];
    let organization = settings.organization.clone().map(|organization| (organization, settings.role));
    Some(Newcomer { name: user_name_of(wishes.into_iter().flatten()), organization })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::IssuerSettings;
    use crate::store::MemberRole;

    #[test]
    fn newcomers_are_let_in_as_the_settings_say() {
        let issuer = |settings: IssuerSettings| {
            let url = Some("https://issuer.example".into());
            Issuer::new(&IssuerSettings { url, ..settings }).unwrap().unwrap()
        };
        let claims = |text: &str| serde_json::from_str::<Claims>(text).unwrap();
        let ana = claims(
            r#"{"iss": "i", "sub": "s", "exp": 1, "email": "Ana.Maria@Example.com", "email_verified": true, "name": "A"}"#,
        );
        let eva = claims(r#"{"iss": "i", "sub": "s", "exp": 1, "email": "eva@example.com"}"#);
        let refuse = issuer(IssuerSettings::default());
        assert!(newcomer(&refuse, &ana).is_none());
        let create = IssuerSettings { new_users: NewUsers::Create, ..IssuerSettings::default() };
        let anybody = newcomer(&issuer(create.clone()), &eva).unwrap();
        assert_eq!((anybody.name.as_str(), anybody.organization), ("eva", None));
        let some = issuer(IssuerSettings {
            email_domains: vec!["example.com".into()],
            organization: Some("team".into()),
            role: MemberRole::Editor,
            ..create
        });
        let known = newcomer(&some, &ana).unwrap();
        assert_eq!(known.name, "ana.maria");
        assert_eq!(known.organization, Some(("team".to_owned(), MemberRole::Editor)));
        assert!(newcomer(&some, &eva).is_none(), "the address is not verified");
        for other in ["ana@example.com.evil", "ana@sub.example.com", "ana@evil.com"] {
            let text = format!(
                r#"{{"iss": "i", "sub": "s", "exp": 1, "email": "{other}", "email_verified": true}}"#
            );
            assert!(newcomer(&some, &claims(&text)).is_none(), "{other}");
        }
    }
}
