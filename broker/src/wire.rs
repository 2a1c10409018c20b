//! The stream under a connection.
//!
//! On Unix, a socket that the system reports on only as far as somebody waits: that there is something to read, and
//! that there is room to write only while a write found none. Otherwise whoever writes would be woken each time that
//! the other side reads, more often than by anything that comes.

#[cfg(unix)]
pub(crate) use self::unix::Wire;

#[cfg(windows)]
pub(crate) use self::windows::Wire;

#[cfg(unix)]
mod unix {
    use std::io::{self, ErrorKind, IoSlice, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    use interprocess::local_socket::tokio::Stream;
    use tokio::io::unix::AsyncFd;
    use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

    /// A connected socket.
    #[derive(Debug)]
    pub(crate) struct Wire(AsyncFd<UnixStream>);

    /// The side that is written to.
    #[derive(Debug)]
    pub(crate) struct Writer<'a> {
        socket: &'a UnixStream,
        /// The same socket while there is no room.
        blocked: Option<AsyncFd<UnixStream>>,
    }

    /// What the system is to report of a socket.
    #[expect(deprecated, reason = "what replaces it is unsafe; a socket keeps its descriptor for as long as it lives")]
    fn watch(socket: UnixStream, what: Interest) -> io::Result<AsyncFd<UnixStream>> {
        AsyncFd::with_interest(socket, what)
    }

    impl Wire {
        pub(crate) fn new(stream: Stream) -> io::Result<Self> {
            let Stream::UdSocket(stream) = stream;
            let socket = tokio::net::UnixStream::from(stream).into_std()?;
            watch(socket, Interest::READABLE).map(Self)
        }

        pub(crate) fn halves(&self) -> (&Self, Writer<'_>) {
            (self, Writer { socket: self.0.get_ref(), blocked: None })
        }
    }

    impl AsyncRead for &Wire {
        fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            loop {
                let mut ready = ready!(self.0.poll_read_ready(cx))?;
                let room = buf.initialize_unfilled();
                let len = room.len();
                match self.0.get_ref().read(room) {
                    Ok(read) => {
                        // That was all, and what comes next is reported.
                        if (1..len).contains(&read) {
                            ready.clear_ready();
                        }
                        buf.advance(read);
                        return Poll::Ready(Ok(()));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
    }

    impl AsyncWrite for Writer<'_> {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(buf)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            loop {
                match self.socket.write_vectored(slices) {
                    Ok(written) => {
                        let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
                        if written == wanted {
                            self.blocked = None;
                        }
                        return Poll::Ready(Ok(written));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Poll::Ready(Err(error)),
                }
                if self.blocked.is_none() {
                    let socket = self.socket.try_clone()?;
                    self.blocked = Some(watch(socket, Interest::WRITABLE)?);
                }
                let blocked = self.blocked.as_ref().expect("it was just set");
                ready!(blocked.poll_write_ready(cx))?.clear_ready();
            }
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::io;

    use interprocess::local_socket::tokio::Stream;

    /// A connected pipe.
    #[derive(Debug)]
    pub(crate) struct Wire(Stream);

    impl Wire {
        #[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
        pub(crate) fn new(stream: Stream) -> io::Result<Self> {
            Ok(Self(stream))
        }

        pub(crate) fn halves(&self) -> (&Stream, &Stream) {
            (&self.0, &self.0)
        }
    }
}
