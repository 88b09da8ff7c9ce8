//! Row-level security and grants: PostgreSQL itself refuses another tenant's rows, and columns that a program does not
//! need, for any statement.

mod contacts;
mod webhooks;

use std::collections::BTreeSet;

use regua_store::{MIGRATOR, access};
use regua_tests::{Client, Database, Fleet, FleetOptions, Tenant, TenantOptions, batch, monday_ten_o_clock};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool, Row};

/// Tables of the platform, whose rows belong to no tenant: closed to requests, or with a policy of their own.
const OF_NO_TENANT: &[&str] = &["workers"];
/// Tables whose key does not begin with the tenant. An event of a payment provider belongs to no tenant until it is read.
const KEYED_WITHOUT_TENANT: &[&str] = &["webhook_events", "workers"];
/// The SQLSTATE of permission denied: by a missing grant or by a policy.
const DENIED: &str = "42501";

async fn column<T>(conn: &mut PgConnection, query: &str) -> Vec<T>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    conn.fetch_all(AssertSqlSafe(query.to_owned())).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn tables(pool: &PgPool) -> Vec<String> {
    let query = "select relname::text from pg_class
                 where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> '_sqlx_migrations'
                 order by 1";
    column(&mut pool.acquire().await.unwrap(), query).await
}

#[tokio::test]
async fn every_table_forces_row_level_security() {
    let database = Database::fresh().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let open = "select relname::text from pg_class
                where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> '_sqlx_migrations'
                  and not (relrowsecurity and relforcerowsecurity)";
    assert_eq!(column::<String>(&mut conn, open).await, [""; 0], "tables without forced row-level security");

    let tables = tables(&database.pool).await;
    assert!(tables.len() > 17, "{tables:?}");
    let of_tenants: BTreeSet<_> = tables.iter().filter(|name| !OF_NO_TENANT.contains(&name.as_str())).collect();
    let bound = "select tablename::text from pg_policies
                 where roles = '{regua_api}' and cmd = 'ALL' and permissive = 'PERMISSIVE'
                   and qual like '(tenant_id = ( SELECT (NULLIF(current_setting(''regua.tenant_id''%'";
    let bound: BTreeSet<String> = column(&mut conn, bound).await.into_iter().collect();
    assert_eq!(bound.iter().collect::<BTreeSet<_>>(), of_tenants, "tables bound to the tenant of the transaction");

    let keyless = "select c.conrelid::regclass::text from pg_constraint c
                   join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
                   where c.contype = 'p' and c.connamespace = 'public'::regnamespace and a.attname <> 'tenant_id'
                     and c.conrelid::regclass::text <> '_sqlx_migrations' order by 1";
    assert_eq!(
        column::<String>(&mut conn, keyless).await,
        KEYED_WITHOUT_TENANT,
        "primary keys that do not begin with tenant_id"
    );
    let loose = "select c.conname::text from pg_constraint c
                 where c.contype = 'f' and not exists (
                     select from pg_attribute a
                     where a.attrelid = c.conrelid and a.attnum = any(c.conkey) and a.attname = 'tenant_id')";
    assert_eq!(column::<String>(&mut conn, loose).await, [""; 0], "references that do not carry the tenant");
}

#[tokio::test]
async fn program_roles_have_no_privileges_beyond_their_grants() {
    let database = Database::fresh().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let strong = "select rolname::text from pg_roles where rolname like 'regua\\_%'
                  and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolcanlogin or rolreplication)
                  and rolname not like 'regua\\_test\\_%'";
    assert_eq!(column::<String>(&mut conn, strong).await, [""; 0]);
    let public = "select table_name::text from information_schema.role_table_grants
                  where table_schema = 'public' and grantee = 'PUBLIC'";
    assert_eq!(column::<String>(&mut conn, public).await, [""; 0], "tables granted to PUBLIC");
    let relay = "select distinct table_name::text from information_schema.column_privileges
                 where table_schema = 'public' and grantee = 'regua_relay'";
    assert_eq!(
        column::<String>(&mut conn, relay).await,
        ["doorbells"],
        "tables that the API reads between its requests"
    );
    let storing = "select distinct table_name || ' ' || privilege_type from information_schema.column_privileges
                   where table_schema = 'public' and grantee = 'regua_webhooks' order by 1";
    assert_eq!(
        column::<String>(&mut conn, storing).await,
        ["doorbells INSERT", "webhook_events INSERT"],
        "what the role that stores webhook events may do"
    );
    let fleet = "select c.table_name || '.' || c.column_name from information_schema.columns c
                 where c.table_schema = 'public' and c.table_name in ('contacts', 'instances', 'tenants')
                   and not has_column_privilege('regua_fleet', c.table_name, c.column_name, 'select')
                 order by 1";
    let unseen = [
        "contacts.amount_cents",
        "contacts.due_date",
        "contacts.external_id",
        "contacts.external_id_hash",
        "contacts.metadata",
        "contacts.name",
        "contacts.phone_hash",
        "contacts.variables",
        "contacts.variation",
        "instances.created_at",
        "instances.webhook_secret_hash",
        "tenants.created_at",
        "tenants.max_requests_per_minute",
        "tenants.name",
        "tenants.references_used",
        "tenants.slug",
    ];
    assert_eq!(column::<String>(&mut conn, fleet).await, unseen, "columns that worker and periodic cannot read");
}

/// Two tenants with one completed batch each.
async fn two_tenants() -> (Fleet, [(Tenant, Client); 2]) {
    let (fleet, acme, erp) = Fleet::with(FleetOptions::default(), TenantOptions::default()).await;
    let options = TenantOptions { slug: "other", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.create_tenant(&options).await;
    let their = Client::new(&fleet.api, &other.key);
    for erp in [&erp, &their] {
        let queue = erp.send_accepted("overdue", &batch("lote-a", 2)).await;
        erp.wait_for_status(&queue, "completed").await;
    }
    (fleet, [(acme, erp), (other, their)])
}

/// Runs a statement and rolls it back. Returns the number of its rows, or the code of its error.
async fn try_statement(conn: &mut PgConnection, statement: String) -> Result<u64, String> {
    let mut savepoint = conn.begin().await.unwrap();
    let done = savepoint.execute(AssertSqlSafe(statement)).await;
    savepoint.rollback().await.unwrap();
    done.map(|done| done.rows_affected()).map_err(|error| {
        let code = error.as_database_error().and_then(|error| error.code().map(|code| code.to_string()));
        code.unwrap_or_else(|| panic!("{error}"))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_of_one_tenant_cannot_reach_rows_of_another() {
    let (fleet, [(acme, _), (other, _)]) = two_tenants().await;
    let pool = &fleet.database.pool;
    let mut seen = 0;
    for table in tables(pool).await.iter().filter(|table| !OF_NO_TENANT.contains(&table.as_str())) {
        let theirs = format!("from {table} where tenant_id = '{}'", other.id);
        let rows: Vec<serde_json::Value> =
            column(&mut pool.acquire().await.unwrap(), &format!("select to_jsonb(t) from (select * {theirs}) t")).await;
        seen += rows.len();
        let mut transaction = access::begin(pool, acme.id).await.unwrap();
        let others = format!("select * from {table} where tenant_id <> '{}'", acme.id);
        let changes = [
            others,
            format!("update {table} set tenant_id = '{}' where tenant_id = '{}'", acme.id, other.id),
            format!("delete {theirs}"),
            format!("select * {theirs} for update"),
        ];
        for statement in changes {
            let done = try_statement(&mut transaction, statement.clone()).await;
            assert!(done == Ok(0) || done == Err(DENIED.to_owned()), "{statement}: {done:?}");
        }
        for row in rows.iter().take(1) {
            let row = row.to_string().replace('\'', "''");
            let insert = format!("insert into {table} select * from jsonb_populate_record(null::{table}, '{row}')");
            assert_eq!(try_statement(&mut transaction, insert).await, Err(DENIED.to_owned()), "{table}");
        }
    }
    assert!(seen > 20, "the other tenant has only {seen} rows");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_without_tenant_sees_no_row_and_key_prefix_shows_one_key() {
    let (fleet, [(acme, _), _]) = two_tenants().await;
    let pool = &fleet.database.pool;
    let mut transaction = access::begin_lookup(pool, "").await.unwrap();
    for table in tables(pool).await {
        let seen = try_statement(&mut transaction, format!("select * from {table}")).await;
        assert!(seen == Ok(0) || seen == Err(DENIED.to_owned()), "{table}: {seen:?}");
    }
    transaction.rollback().await.unwrap();

    let prefix = acme.key.split('_').nth(1).unwrap();
    let mut transaction = access::begin_lookup(pool, prefix).await.unwrap();
    for (table, rows) in [("api_keys", 1), ("tenants", 1), ("tenant_configs", 1), ("instances", 0), ("contacts", 0)] {
        assert_eq!(try_statement(&mut transaction, format!("select * from {table}")).await, Ok(rows), "{table}");
    }
    let updated = try_statement(&mut transaction, "update api_keys set last_used_at = now()".to_owned()).await;
    assert_eq!(updated, Ok(0), "a look-up by prefix may only read");
    transaction.rollback().await.unwrap();
    fleet.end().await;
}

/// Creates a database login that is a member of these roles only. Returns its name and the URL of its server.
async fn login(server: &PgPool, roles: &str) -> (String, String) {
    let name = format!("regua_test_{}", uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, 0, 0)).simple());
    let statement = format!("create role {name} login password 'senha' in role {roles}");
    server.execute(AssertSqlSafe(statement)).await.unwrap();
    let options = server.connect_options();
    let url = format!("postgres://{name}:senha@{}:{}", options.get_host(), options.get_port());
    (name, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn fleet_runs_with_its_database_roles_alone() {
    let database = Database::fresh().await;
    let (name, server) = login(&database.pool, "regua_api, regua_relay, regua_fleet").await;
    let options = FleetOptions { proxied_database: Some(format!("{server}/-")), ..FleetOptions::default() };
    let (fleet, _, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 3)).await;
    erp.wait_for_status(&queue, "completed").await;
    let logins: Vec<String> = column(
        &mut fleet.database.pool.acquire().await.unwrap(),
        "select distinct usename::text from pg_stat_activity
         where datname = current_database() and application_name = 'regua-fleet'",
    )
    .await;
    assert_eq!(logins, [name]);
    fleet.assert_each_left_once(3);
    fleet.end().await;
}

#[tokio::test]
async fn database_owner_without_superuser_migrates_and_reads_only_by_role() {
    let database = Database::fresh().await;
    let (owner, server) = login(&database.pool, "regua_api, regua_relay, regua_fleet, regua_platform").await;
    let name = format!("{owner}_db");
    database.pool.execute(AssertSqlSafe(format!("create database {name} owner {owner}"))).await.unwrap();
    let mut conn = PgConnection::connect(&format!("{server}/{name}")).await.unwrap();
    MIGRATOR.run(&mut conn).await.unwrap();
    conn.execute("insert into tenants (tenant_id, slug, name, created_at) values (gen_random_uuid(), 'a', 'A', now())")
        .await
        .unwrap();
    conn.execute("set role regua_fleet").await.unwrap();
    assert_eq!(try_statement(&mut conn, "select tenant_id from tenants".to_owned()).await, Ok(1));
    assert_eq!(try_statement(&mut conn, "select name from tenants".to_owned()).await, Err(DENIED.to_owned()));
    conn.execute("set role regua_api").await.unwrap();
    assert_eq!(try_statement(&mut conn, "select name from tenants".to_owned()).await, Ok(0));
    conn.close().await.unwrap();
}

#[tokio::test]
async fn login_that_is_a_member_of_the_api_role_cannot_give_the_role_platform() {
    let database = Database::fresh().await;
    let tenant =
        Tenant::create(&database.pool, "http://gateway", &TenantOptions::default(), monday_ten_o_clock()).await;
    let add_user = |role| {
        format!(
            "insert into users (tenant_id, user_id, email, name, role, created_at, updated_at)
             values ('{}', gen_random_uuid(), 'ana@acme.example', 'Ana', '{role}', now(), now())",
            tenant.id
        )
    };
    for (roles, expected) in [("regua_api", Err(DENIED.to_owned())), ("regua_api, regua_platform", Ok(1))] {
        let (_, server) = login(&database.pool, roles).await;
        let name = database.url.rsplit_once('/').unwrap().1;
        let mut conn = PgConnection::connect(&format!("{server}/{name}")).await.unwrap();
        conn.execute(AssertSqlSafe(format!("set regua.tenant_id = '{}'", tenant.id))).await.unwrap();
        assert_eq!(try_statement(&mut conn, add_user("owner")).await, Ok(1), "{roles}");
        assert_eq!(try_statement(&mut conn, add_user("platform")).await, expected, "{roles}");
        conn.close().await.unwrap();
    }
}
