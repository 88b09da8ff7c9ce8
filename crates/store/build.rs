//! Builds the crate again when a migration is added: `sqlx::migrate!` alone sees changes of the files that it knows.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
