//! A client of `nats-server`, as quick as its plain-text protocol can be spoken: written through a large buffer, read
//! in large pieces, nothing copied twice.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, bail, ensure};

use crate::bus::load::TOPIC;

/// Bytes that are read at once, and gathered before they are written.
const CHUNK_LEN: usize = 128 << 10;

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
    /// What of `read` is not consumed.
    at: usize,
    end: usize,
    unwritten: Vec<u8>,
    /// What comes before each payload.
    head: String,
}

impl Client {
    /// Connects to the server at this port of the loopback.
    pub fn connect(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let unwritten = b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n".to_vec();
        let mut client = Self { stream, read: vec![0; CHUNK_LEN], at: 0, end: 0, unwritten, head: String::new() };
        let info = client.line()?.to_owned();
        ensure!(info.starts_with("INFO "), "the server at {port} says `{info}`");
        client.confirm()?;
        Ok(client)
    }

    /// Subscribes to what is measured.
    pub fn subscribe(&mut self) -> anyhow::Result<()> {
        write!(self.unwritten, "SUB {TOPIC} 1\r\n")?;
        self.confirm()
    }

    /// Gathers a message; what is gathered goes once it is much.
    pub fn publish(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        if self.head.is_empty() {
            self.head = format!("PUB {TOPIC} {}\r\n", payload.len());
        }
        self.unwritten.extend_from_slice(self.head.as_bytes());
        self.unwritten.extend_from_slice(payload);
        self.unwritten.extend_from_slice(b"\r\n");
        if self.unwritten.len() >= CHUNK_LEN { self.flush() } else { Ok(()) }
    }

    /// Writes what is gathered.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(&self.unwritten)?;
        self.unwritten.clear();
        Ok(())
    }

    /// Returns once the server has seen everything.
    pub fn confirm(&mut self) -> anyhow::Result<()> {
        self.unwritten.extend_from_slice(b"PING\r\n");
        self.flush()?;
        loop {
            match self.line()? {
                "PONG" => return Ok(()),
                "PING" => self.stream.write_all(b"PONG\r\n")?,
                line => bail!("the server says `{line}`"),
            }
        }
    }

    /// The next message.
    pub fn message(&mut self) -> anyhow::Result<&[u8]> {
        let line = self.line()?;
        if line == "PING" {
            self.stream.write_all(b"PONG\r\n")?;
            return self.message();
        }
        let Some(rest) = line.strip_prefix("MSG ") else { bail!("the server says `{line}`") };
        let len: usize = rest.rsplit(' ').next().unwrap_or_default().parse().context("a length")?;
        while self.end - self.at < len + 2 {
            self.fill()?;
        }
        let payload = self.at..self.at + len;
        self.at += len + 2;
        Ok(&self.read[payload])
    }

    fn line(&mut self) -> anyhow::Result<&str> {
        let len = loop {
            match memchr::memchr(b'\n', &self.read[self.at..self.end]) {
                Some(len) => break len,
                None => self.fill()?,
            }
        };
        let line = self.at..self.at + len;
        self.at += len + 1;
        Ok(std::str::from_utf8(&self.read[line])?.trim_end())
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        if self.read.len() - self.end < CHUNK_LEN / 4 {
            self.read.copy_within(self.at..self.end, 0);
            (self.at, self.end) = (0, self.end - self.at);
        }
        let came = self.stream.read(&mut self.read[self.end..])?;
        ensure!(came > 0, "the server closed the connection");
        self.end += came;
        Ok(())
    }
}
