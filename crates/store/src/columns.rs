//! Columns of rows, as `unnest` takes them.

/// One value of each row.
pub(crate) fn column<R, C>(rows: &[R], value: impl Fn(&R) -> C) -> Vec<C> {
    rows.iter().map(value).collect()
}
