//! A client of `redis-server` over a Unix socket: each message is written at once.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, ensure};

use crate::bus::load::TOPIC;

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    read: Vec<u8>,
    /// What of `read` is not consumed.
    at: usize,
    unwritten: Vec<u8>,
}

impl Client {
    /// Connects to the server at this socket.
    pub fn connect(path: &Path) -> anyhow::Result<Self> {
        Ok(Self { stream: UnixStream::connect(path)?, read: Vec::new(), at: 0, unwritten: Vec::new() })
    }

    /// Subscribes to what is measured.
    pub fn subscribe(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(format!("SUBSCRIBE {TOPIC}\r\n").as_bytes())?;
        let line = self.line()?;
        ensure!(line == "*3", "the server says `{line}`");
        for _ in 0..2 {
            self.bulk()?;
        }
        self.line().map(drop)
    }

    /// Reads and forgets what the server answers, in a thread of its own, for as long as it answers.
    pub fn ignore_answers(&self) -> anyhow::Result<()> {
        let mut answers = self.stream.try_clone()?;
        std::thread::spawn(move || std::io::copy(&mut answers, &mut std::io::sink()));
        Ok(())
    }

    /// Writes a message.
    pub fn publish(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        self.unwritten.clear();
        let (topic_len, len) = (TOPIC.len(), payload.len());
        write!(self.unwritten, "*3\r\n$7\r\nPUBLISH\r\n${topic_len}\r\n{TOPIC}\r\n${len}\r\n")?;
        self.unwritten.extend_from_slice(payload);
        self.unwritten.extend_from_slice(b"\r\n");
        Ok(self.stream.write_all(&self.unwritten)?)
    }

    /// The next message.
    pub fn message(&mut self) -> anyhow::Result<&[u8]> {
        let line = self.line()?;
        ensure!(line == "*3", "the server says `{line}`");
        self.bulk()?;
        self.bulk()?;
        self.bulk()
    }

    fn bulk(&mut self) -> anyhow::Result<&[u8]> {
        let line = self.line()?;
        let len: usize = line.strip_prefix('$').and_then(|len| len.parse().ok()).context("a length")?;
        while self.read.len() - self.at < len + 2 {
            self.fill()?;
        }
        self.at += len + 2;
        Ok(&self.read[self.at - len - 2..self.at - 2])
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let len = loop {
            match self.read[self.at..].iter().position(|byte| *byte == b'\n') {
                Some(len) => break len,
                None => self.fill()?,
            }
        };
        let line = std::str::from_utf8(&self.read[self.at..self.at + len])?.trim_end().to_owned();
        self.at += len + 1;
        Ok(line)
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        let mut chunk = [0; 16 << 10];
        self.read.drain(..self.at);
        self.at = 0;
        let came = self.stream.read(&mut chunk)?;
        ensure!(came > 0, "the server closed the connection");
        self.read.extend_from_slice(&chunk[..came]);
        Ok(())
    }
}
