//! `regua secrets rotate`, and the check of secrets by `regua doctor`.

use regua_domain::{TenantId, UserId};
use regua_secrets::{DEVELOPMENT_SECRET_KEY, Place, SecretArguments, SecretKeys};
use regua_tests::Database;
use serde_json::Value;

use super::{refused, regua, succeeded};

/// Runs a command with these keys instead of the development key; returns the exit status and the JSON.
fn with_keys(database: &Database, keys: [&str; 2], arguments: &[&str]) -> (Option<i32>, Value) {
    let keys = ["--secret-key", keys[0], "--old-secret-keys", keys[1], "--json"];
    let output = regua(database, &[arguments, &keys].concat());
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_and_old_secrets_are_sealed_with_the_current_key() {
    let database = Database::fresh().await;
    succeeded(&database, &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    for number in 0..3 {
        let name = format!("numero-{number}");
        let gateway = ["--url", "http://127.0.0.1:9", "--token", "segredo-do-gateway"];
        succeeded(&database, &[&["instance", "add", "--tenant", "acme", "--name", &name], &gateway[..]].concat());
    }
    write(&database, "update instances set token = 'segredo-de-antes' where name = 'numero-0'").await;
    let (old, new) = (DEVELOPMENT_SECRET_KEY, "bm92YS1jaGF2ZS1ub3ZhLWNoYXZlLW5vdmEtMTIzNDU=");
    let secrets = |keys| {
        let (_, results) = with_keys(&database, keys, &["doctor"]);
        let of_secrets = results.as_array().unwrap().iter().filter(|one| one["check"] == "secrets");
        of_secrets.map(|one| format!("{} {}", one["health"], one["detail"])).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(secrets([old, ""]), r#""warn" "1 secret not sealed: run `regua secrets rotate`""#);
    let found = secrets([new, old]);
    assert!(found.contains("1 secret not sealed") && found.contains("2 secrets under the old key"), "{found}");
    assert!(secrets([new, ""]).contains(r#""fail" "2 secrets under the key"#));

    // Without the old key, only the plain secret is sealed.
    let (status, counts) = with_keys(&database, [new, ""], &["secrets", "rotate"]);
    assert_eq!((status, &counts["sealed"], &counts["resealed"]), (Some(1), &1.into(), &0.into()), "{counts:#}");
    assert_eq!(counts["unreadable"].as_object().unwrap().values().collect::<Vec<_>>(), [2], "{counts:#}");
    let (status, counts) = with_keys(&database, [new, old], &["secrets", "rotate"]);
    assert_eq!((status, &counts["sealed"], &counts["resealed"]), (Some(0), &0.into(), &2.into()), "{counts:#}");
    let (status, counts) = with_keys(&database, [new, old], &["secrets", "rotate"]);
    assert_eq!((status, &counts["sealed"], &counts["resealed"]), (Some(0), &0.into(), &0.into()), "{counts:#}");
    assert_eq!(secrets([new, ""]), r#""ok" "all are sealed with the present key""#);

    // A seal is bound to its row.
    let copy =
        "update instances set token = (select token from instances where name = 'numero-1') where name = 'numero-2'";
    write(&database, copy).await;
    let (_, counts) = with_keys(&database, [old, new], &["secrets", "rotate"]);
    let causes = counts["unreadable"].to_string();
    assert!(counts["resealed"] == 2 && causes.contains("another place"), "{counts:#}");
    let stderr = refused(&database, 1, &["secrets", "rotate", "--secret-key", ""]);
    assert!(stderr.contains("REGUA_SECRET_KEY is not set"), "{stderr}");
}

async fn write(database: &Database, statement: &'static str) {
    #[expect(clippy::disallowed_methods, reason = "a test writes to the tables directly")]
    sqlx::query(statement).execute(&database.pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn second_factor_seed_is_sealed_with_the_current_key() {
    let database = Database::fresh().await;
    succeeded(&database, &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    let invite = ["user", "create", "--tenant", "acme", "--email", "ana@acme.example", "--name", "Ana"];
    succeeded(&database, &[&invite[..], &["--role", "owner"]].concat());
    #[expect(clippy::disallowed_methods, reason = "a test reads and writes the tables directly")]
    let text = async |statement: &'static str, argument: &str| {
        sqlx::query_scalar::<_, String>(statement).bind(argument).fetch_one(&database.pool).await.unwrap()
    };
    let tenant =
        TenantId(text("select tenant_id::text from users where email = $1", "ana@acme.example").await.parse().unwrap());
    let user =
        UserId(text("select user_id::text from users where email = $1", "ana@acme.example").await.parse().unwrap());
    let place = Place::totp_seed(tenant, user);
    let seed = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let sealed = SecretKeys::development().seal(&place, seed).unwrap();
    text("update users set totp_seed = $1 returning totp_seed", sealed.as_str()).await;

    let (old, new) = (DEVELOPMENT_SECRET_KEY, "bm92YS1jaGF2ZS1ub3ZhLWNoYXZlLW5vdmEtMTIzNDU=");
    let (status, counts) = with_keys(&database, [new, ""], &["secrets", "rotate"]);
    assert_eq!((status, &counts["resealed"]), (Some(1), &0.into()), "{counts:#}");
    let (status, counts) = with_keys(&database, [new, old], &["secrets", "rotate"]);
    assert_eq!((status, &counts["resealed"]), (Some(0), &1.into()), "{counts:#}");
    let keys = SecretArguments { secret_key: Some(new.to_owned()), old_secret_keys: None }.keys().unwrap();
    let resealed = text("select totp_seed from users where email = $1", "ana@acme.example").await;
    assert_eq!(keys.open(&place, &resealed).unwrap(), seed);
}
