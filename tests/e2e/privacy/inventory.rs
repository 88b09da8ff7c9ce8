//! The inventory of docs/privacy.md lists every column of the tables once, and no other column.

use std::collections::{BTreeMap, BTreeSet};

use regua_tests::Database;
use sqlx::{Executor, Row};

type Columns = BTreeMap<String, BTreeSet<String>>;

async fn columns_of_catalogue(database: &Database) -> Columns {
    let query = "select c.relname::text, a.attname::text from pg_class c join pg_attribute a on a.attrelid = c.oid
                 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
                   and c.relname <> '_sqlx_migrations'";
    let mut columns = Columns::new();
    for row in database.pool.fetch_all(query).await.unwrap() {
        columns.entry(row.get(0)).or_default().insert(row.get(1));
    }
    columns
}

/// A row of the inventory begins with a table and some of its columns: `| contacts | name, phone | …`.
fn columns_of_document(text: &str) -> Columns {
    let (_, inventory) = text.split_once("## Inventory").expect("the inventory");
    let inventory = inventory.split("\n## ").next().unwrap();
    let mut columns = Columns::new();
    for line in inventory.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 8, "table, columns, what, why, how long, who: {line}");
        assert!(cells[1..7].iter().all(|cell| !cell.is_empty()), "an empty cell: {line}");
        let table = columns.entry(cells[1].trim_matches('`').to_owned()).or_default();
        for column in cells[2].split(',').map(|name| name.trim().trim_matches('`').to_owned()) {
            assert!(table.insert(column.clone()), "the inventory lists {} {column} twice", cells[1]);
        }
    }
    columns
}

#[tokio::test]
async fn inventory_lists_every_column_once_and_no_unknown_column() {
    let database = Database::fresh().await;
    let text = include_str!("../../../docs/privacy.md");
    let (catalogue, document) = (columns_of_catalogue(&database).await, columns_of_document(text));
    assert!(catalogue.len() > 20, "{catalogue:?}");
    for (table, columns) in &catalogue {
        let empty = BTreeSet::new();
        let listed = document.get(table).unwrap_or(&empty);
        let missing: Vec<_> = columns.difference(listed).collect();
        assert!(missing.is_empty(), "docs/privacy.md does not list columns of {table}: {missing:?}");
    }
    for (table, columns) in &document {
        let existing =
            catalogue.get(table).unwrap_or_else(|| panic!("docs/privacy.md names {table}, which does not exist"));
        let unknown: Vec<_> = columns.difference(existing).collect();
        assert!(unknown.is_empty(), "docs/privacy.md names columns of {table} that do not exist: {unknown:?}");
    }
}

/// The grants decide who can read a debtor's data.
#[tokio::test]
async fn fleet_role_reads_the_debtor_columns_that_the_inventory_lists() {
    let database = Database::fresh().await;
    let query = "select column_name::text from information_schema.columns
                 where table_schema = 'public' and table_name = 'contacts'
                   and has_column_privilege('regua_fleet', table_name, column_name, 'select') order by 1";
    let readable: BTreeSet<String> =
        database.pool.fetch_all(query).await.unwrap().iter().map(|row| row.get(0)).collect();
    let text = include_str!("../../../docs/privacy.md");
    let inventory = text.split_once("## Inventory").unwrap().1.split("\n## ").next().unwrap();
    let lines = inventory.lines().filter(|line| line.starts_with("| `contacts`"));
    let listed: BTreeSet<String> = lines
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|cells| cells[6].contains("fleet"))
        .flat_map(|cells| cells[2].split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect::<Vec<_>>())
        .collect();
    assert_eq!(listed, readable);
}
