//! HTTP over raw sockets, which takes little of the processor and can misbehave.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The head of a request. `line` is method and path.
pub(super) fn head(line: &str, headers: &[(&str, &str)], length: usize) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let of_body = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    format!("{line} HTTP/1.1\r\nHost: regua\r\n{headers}{of_body}\r\n")
}

/// A whole request.
pub(super) fn request(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    [head(line, headers, body.len()).as_bytes(), body].concat()
}

/// The n-th address of the attackers.
pub(super) fn address(n: usize) -> IpAddr {
    let [.., high, low] = n.to_be_bytes();
    IpAddr::from([127, 1, high, low])
}

pub(super) async fn connect(api: SocketAddr, from: IpAddr) -> io::Result<TcpStream> {
    connect_with_buffer(api, from, None).await
}

/// A connection that holds at most this number of bytes that are not read.
pub(super) async fn connect_with_buffer(api: SocketAddr, from: IpAddr, bytes: Option<u32>) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    bytes.map(|bytes| socket.set_recv_buffer_size(bytes)).transpose()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    let stream = socket.connect(api).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads the status of the answer; none if the connection ends before.
pub(super) async fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.ok()?;
    std::str::from_utf8(&line[9..]).ok()?.parse().ok()
}

/// Makes one request over a connection of its own.
pub(super) async fn ask(api: SocketAddr, from: IpAddr, request: Vec<u8>) -> Option<u16> {
    let mut stream = connect(api, from).await.ok()?;
    // The server may answer and close before it has read everything.
    let _written = stream.write_all(&request).await;
    status(&mut stream).await
}
