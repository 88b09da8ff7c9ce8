//! Formats of the files that commands read and write.

pub(crate) mod contact_file;
pub(crate) mod formula_guard;
pub(crate) mod template_file;
