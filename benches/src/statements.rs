//! PostgreSQL's time for each statement, for work on the product's speed. It needs `pg_stat_statements` in the server
//! and in `template1`, and STATEMENTS=1.

use sqlx::PgPool;

use crate::report::progress;

const MOST: i32 = 16;

/// Prints the statements that took longest on this database, if STATEMENTS is set.
pub(crate) async fn print_slowest(pool: &PgPool) -> anyhow::Result<()> {
    if std::env::var("STATEMENTS").is_err() {
        return Ok(());
    }
    let rows: Vec<(i64, f64, i64, String)> = sqlx::query_as(
        r"select calls, total_exec_time, rows, left(regexp_replace(query, '\s+', ' ', 'g'), 110)
          from pg_stat_statements
          where dbid = (select oid from pg_database where datname = current_database())
          order by total_exec_time desc limit $1",
    )
    .bind(MOST)
    .fetch_all(pool)
    .await?;
    for (calls, milliseconds, rows, text) in rows {
        progress(&format!("{calls:>8} calls {milliseconds:>9.0} ms {rows:>8} rows  {text}"));
    }
    Ok(())
}
