//! A round trip over Unix sockets with nothing but tokio: what the system itself takes.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Builder;

use crate::bus::child::{ready, tell};
use crate::bus::load::{Load, Source, Tally};

/// Sends back what comes to a socket; with another socket, what comes back from there.
pub fn echo(path: &Path, beyond: Option<&Path>, load: Load) -> anyhow::Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = UnixListener::bind(path)?;
        let mut far = match beyond {
            Some(path) => Some(UnixStream::connect(path).await?),
            None => None,
        };
        ready()?;
        let (mut near, _) = listener.accept().await?;
        let mut message = vec![0; load.len];
        for _ in 0..load.messages {
            near.read_exact(&mut message).await?;
            if let Some(far) = &mut far {
                far.write_all(&message).await?;
                far.read_exact(&mut message).await?;
            }
            near.write_all(&message).await?;
        }
        Ok(())
    })
}

/// Sends one message after the other and waits for each to come back; the times that they took.
pub fn ask(path: &Path, load: Load) -> anyhow::Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut stream = UnixStream::connect(path).await?;
        let (mut source, mut tally) = (Source::new(load), Tally::new(load));
        let mut back = vec![0; load.len];
        ready()?;
        while let Some(message) = source.message() {
            stream.write_all(message).await?;
            stream.read_exact(&mut back).await?;
            tally.take(&back);
        }
        let told = tally.told();
        tell(&[told.came, told.p50, told.p99])
    })
}
