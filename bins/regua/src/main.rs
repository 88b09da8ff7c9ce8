//! The program `regua`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(regua::run()).await
}
