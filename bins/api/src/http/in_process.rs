//! Extensions of in-process requests and their answers. A request over HTTP never has them.

/// Marks a request of the command line, which has access to the database itself.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// The user of the operating system, for the audit log.
    pub name: String,
}

/// The cause of a failure, in the answer to the command line, which has no other log.
#[derive(Clone, Debug)]
pub struct Cause(pub String);
