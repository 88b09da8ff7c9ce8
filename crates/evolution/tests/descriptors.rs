//! A process without file descriptors. The test has a program of its own, because the limit is the process's.

#![expect(clippy::unwrap_used, reason = "a missing fixture ends the test")]

use std::fs::File;
use std::time::Duration;

use regua_domain::PhoneNumber;
use regua_evolution::{
    AllowedNetworks, ClientSettings, ConnectionState, EvolutionClient, InstanceAddress, Outcome, Reason, Token,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Opens files until the process may open no more.
fn use_up_descriptors() -> Vec<File> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..limit }).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[tokio::test]
async fn request_without_descriptor_says_nothing_about_the_gateway() {
    let limit = Duration::from_secs(2);
    let networks = AllowedNetworks::any();
    let settings = ClientSettings { send_timeout: limit, check_timeout: limit, connect_timeout: limit, networks };
    let client = EvolutionClient::new(settings).unwrap();
    let instances = ["http://127.0.0.1:9", "http://gateway.invalid:9"]
        .map(|url| InstanceAddress::parse(url, "matriz", Token::parse("segredo").unwrap()).unwrap());
    let number = PhoneNumber::parse("(11) 98888-7777").unwrap();

    let files = use_up_descriptors();
    for instance in &instances {
        let sent = client.send_text(instance, &number, "Olá").await;
        assert_eq!(sent, Outcome::NotSent { reason: Reason::NoSocket, retry: true }, "{instance:?}");
        let state = client.connection_state(instance).await;
        assert_eq!(state, ConnectionState::Unreachable { reason: Reason::NoSocket }, "{instance:?}");
    }
    drop(files);
    let state = client.connection_state(&instances[0]).await;
    assert_eq!(state, ConnectionState::Unreachable { reason: Reason::GatewayUnreachable });
}
