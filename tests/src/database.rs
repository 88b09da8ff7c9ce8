//! A fresh database for each test, copied from a template that is migrated once for the whole run.

use std::time::Duration;

use regua_store::{MIGRATOR, PoolSettings, Role};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::sync::OnceCell;
use uuid::Uuid;

static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// A database with a random name. It stays until the script that started the server removes the server.
pub struct Database {
    /// The database's URL.
    pub url: String,
    /// A pool for the test's own statements, with the role of the login.
    pub pool: PgPool,
}

impl Database {
    /// Copies the migrated template.
    pub async fn fresh() -> Self {
        let template = TEMPLATE.get_or_init(migrated_template).await;
        let name = format!("regua_test_{}", Uuid::from_u128(random()).simple());
        admin()
            .await
            .execute(sqlx::AssertSqlSafe(format!("create database {name} template {template}")))
            .await
            .unwrap();
        let url = url_of(&name);
        let pool = pool(&url);
        Self { url, pool }
    }

    /// Migrates an existing database.
    pub async fn migrate_existing(url: &str) -> Self {
        let mut conn = PgConnection::connect(url).await.unwrap();
        MIGRATOR.run(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        Self { url: url.to_owned(), pool: pool(url) }
    }

    /// The URL of the database at another server, such as a proxy.
    pub(crate) fn url_through(&self, server: Option<&str>) -> String {
        let (_, name) = self.url.rsplit_once('/').expect("a URL");
        server
            .and_then(|server| server.rsplit_once('/'))
            .map_or(self.url.clone(), |(server, _)| format!("{server}/{name}"))
    }
}

fn pool(url: &str) -> PgPool {
    regua_store::pool(&PoolSettings {
        database_url: url.to_owned(),
        application_name: "regua-tests",
        role: Role::Login,
        pool_mode: regua_store::PoolMode::default(),
        max_connections: 24,
        acquire_timeout: Duration::from_secs(10),
    })
    .unwrap()
}

async fn migrated_template() -> String {
    let name = format!("regua_template_{}", Uuid::from_u128(random()).simple());
    admin().await.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    let mut conn = PgConnection::connect(&url_of(&name)).await.unwrap();
    MIGRATOR.run(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    name
}

async fn admin() -> PgConnection {
    PgConnection::connect(&server_url()).await.expect("DATABASE_URL names no server; run the tests with `make test`")
}

fn server_url() -> String {
    std::env::var("DATABASE_URL").expect("DATABASE_URL is not set; run the tests with `make test`")
}

fn url_of(name: &str) -> String {
    let server = server_url();
    let (before, _) = server.rsplit_once('/').expect("DATABASE_URL names a database");
    format!("{before}/{name}")
}

pub(crate) fn random() -> u128 {
    // A UUIDv7 of time 0: only its random bits count.
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, 0, 0)).as_u128()
}
