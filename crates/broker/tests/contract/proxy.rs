//! A TCP proxy that takes RabbitMQ away from one test.

use std::sync::Arc;

use lapin::uri::AMQPUri;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Open,
    /// Connections stay open, and no byte passes.
    Frozen,
    /// Open and new connections are closed.
    Cut,
}

pub(crate) struct Proxy {
    line: Arc<watch::Sender<Line>>,
    url: String,
}

impl Proxy {
    pub(crate) async fn new(url: &str, line: Line) -> Self {
        let mut uri: AMQPUri = url.parse().unwrap();
        let target = (uri.authority.host.clone(), uri.authority.port);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        uri.authority.host = "127.0.0.1".to_owned();
        uri.authority.port = listener.local_addr().unwrap().port();
        // A frozen line is noticed within a test's patience.
        uri.query.heartbeat = Some(1);
        let line = Arc::new(watch::Sender::new(line));
        let lines = line.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, target.clone(), lines.subscribe()));
            }
        });
        Self { line, url: uri.to_string() }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn pass(mut client: TcpStream, target: (String, u16), mut line: watch::Receiver<Line>) {
    if *line.borrow() == Line::Open {
        let mut server = TcpStream::connect(target).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = line.wait_for(|line| *line != Line::Open) => {}
        }
    }
    let _ = line.wait_for(|line| *line != Line::Frozen).await;
}
