//! One connection: a stream on one side, [`Inlet`] and [`Outlet`] on the other. Broker and client run the same code.
//!
//! A side that has sent nothing for [`PING_SECS`] sends `Ping`; a side to which no whole frame came for
//! [`SILENCE_SECS`] ends the connection, and the first must come within [`HANDSHAKE_SECS`]. Whoever finds a fault says
//! so in a `Fault` if the other still reads, and ends the connection.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::timeout;

use crate::frame::{self, FRAME_LEN_MAX};
use crate::message::{Code, Fault, Message, Ping};
use crate::outgoing::Outgoing;
use crate::seal::{Opener, Seal};

/// How long the first message may take.
pub(crate) const HANDSHAKE_SECS: u64 = 5;
/// After how long without sending a side sends `Ping`.
const PING_SECS: u64 = 15;
/// After how long without a frame the connection is dead.
pub(crate) const SILENCE_SECS: u64 = 45;
/// The length that a frame of a peer may say that has not proved who it is.
pub(crate) const UNPROVED_FRAME_LEN_MAX: usize = 4096;
/// How long a `Fault` may take on its way out.
const FAREWELL_SECS: u64 = 1;
/// Bytes read at once, and bytes gathered before they are written.
const CHUNK_LEN: usize = 128 << 10;
/// A buffer that has grown beyond this is let go once it is empty.
pub(crate) const KEPT_LEN_MAX: usize = 256 << 10;

/// Where a connection puts what comes.
pub(crate) trait Inlet {
    /// Handles one message.
    fn receive(&self, message: Message) -> Result<(), Fault>;
    /// The length that a frame may say now.
    fn frame_len_max(&self) -> usize {
        FRAME_LEN_MAX
    }
    /// Resolves when the next message may come; at fault is who keeps it from coming.
    async fn room(&self) -> Result<(), Fault>;
    /// What the connection is encrypted with, once both sides have agreed on it.
    fn seal(&self) -> Option<Seal> {
        None
    }
}

/// Where a connection gets what goes.
pub(crate) trait Outlet {
    /// The next message when there is one, or nothing when there will be none.
    async fn next(&mut self) -> Option<Message>;
    /// The next message if there is one now.
    fn try_next(&mut self) -> Option<Message>;
    /// See [`Inlet::seal`].
    fn seal(&self) -> Option<Seal> {
        None
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("this side closed it")]
    Here,
    #[error("the other side closed it")]
    There,
    #[error("{0}")]
    Stream(#[from] io::Error),
    /// Found on this side.
    #[error("{0}")]
    Found(#[from] Fault),
    /// Told by the other side; the text is printable.
    #[error("{0}")]
    Told(Fault),
}

/// Moves messages until either side ends.
pub(crate) async fn run<R, W, I, O>((mut reader, mut writer): (R, W), inlet: &I, outlet: &mut O) -> End
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    I: Inlet,
    O: Outlet,
{
    // Outlives the writing future, so that a frame that it was in the midst of can be completed.
    let mut unwritten = Outgoing::default();
    let end = {
        let mut reading = pin!(read(&mut reader, inlet));
        let mut writing = pin!(write(&mut writer, outlet, &mut unwritten));
        tokio::select! {
            end = &mut reading => end,
            end = &mut writing => match end {
                // The other side closed; what it said before that may still be unread, and may have to wait for others.
                End::Stream(error) => match reading.await {
                    told @ End::Told(_) => told,
                    _ => End::Stream(error),
                },
                end => end,
            },
        }
    };
    if let End::Found(fault) = &end {
        unwritten.push(&fault.clone().into());
        let farewell = unwritten.write_to(&mut writer);
        // The fault is reported here in any case; a peer that does not read does not learn it.
        let _unread = timeout(Duration::from_secs(FAREWELL_SECS), farewell).await;
    }
    end
}

/// Moves messages between a client and a broker in this process, as they are. Returns how it ended for the client.
pub(crate) async fn run_local(
    (client_inlet, client_outlet): (&impl Inlet, &mut impl Outlet),
    (broker_inlet, broker_outlet): (&impl Inlet, &mut impl Outlet),
) -> End {
    tokio::select! {
        passed = pass(client_outlet, broker_inlet) => match passed {
            Ok(()) => End::Here,
            Err(End::Found(fault)) => End::Told(fault),
            Err(end) => end,
        },
        passed = pass(broker_outlet, client_inlet) => passed.err().unwrap_or(End::There),
    }
}

async fn pass(outlet: &mut impl Outlet, inlet: &impl Inlet) -> Result<(), End> {
    while let Some(message) = outlet.next().await {
        if let Message::Fault(fault) = message {
            return Err(End::Told(fault));
        }
        inlet.receive(message)?;
        inlet.room().await?;
        tokio::task::coop::consume_budget().await;
    }
    Ok(())
}

async fn read(reader: &mut (impl AsyncRead + Unpin), inlet: &impl Inlet) -> End {
    let mut arrivals = Arrivals::new();
    let mut patience_secs = HANDSHAKE_SECS;
    loop {
        let next = timeout(Duration::from_secs(patience_secs), arrivals.next_message(reader, inlet)).await;
        let message = match next {
            Ok(Ok(message)) => message,
            Ok(Err(end)) => return end,
            Err(_) => return Fault::new(Code::Silence, format!("no frame for {patience_secs} seconds")).into(),
        };
        if let Message::Fault(fault) = message {
            return End::Told(fault.printable());
        }
        // The last that either side says in the clear.
        let was_last = matches!(message, Message::Challenge(_) | Message::Proof(_));
        if let Err(fault) = inlet.receive(message) {
            return End::Found(fault);
        }
        if was_last && let Some(seal) = inlet.seal() {
            arrivals.open_from_here(seal.opener());
        }
        patience_secs = SILENCE_SECS;
        if let Err(fault) = inlet.room().await {
            return End::Found(fault);
        }
    }
}

/// What came and is not yet taken apart.
struct Arrivals {
    buffer: BytesMut,
    /// What is read into, the same again and again; small until much comes.
    chunk: Vec<u8>,
    /// What comes is encrypted.
    opener: Option<Opener>,
    /// What ends the connection once the messages before it are taken.
    broken: Option<Fault>,
}

impl Arrivals {
    fn new() -> Self {
        Self { buffer: BytesMut::new(), chunk: vec![0; CHUNK_LEN / 32], opener: None, broken: None }
    }

    /// What is not yet taken apart, and what comes, is encrypted.
    fn open_from_here(&mut self, mut opener: Opener) {
        let came = self.buffer.split();
        self.broken = opener.open(&came, &mut self.buffer).err();
        self.opener = Some(opener);
    }

    async fn next_message(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        inlet: &impl Inlet,
    ) -> Result<Message, End> {
        let len_max = inlet.frame_len_max();
        loop {
            if let Some(frame) = frame::decode(&mut self.buffer, len_max)? {
                return Ok(Message::decode(frame)?);
            }
            if let Some(fault) = self.broken.take() {
                return Err(fault.into());
            }
            if self.buffer.is_empty() && self.buffer.capacity() > KEPT_LEN_MAX {
                self.buffer = BytesMut::new();
            }
            let read = reader.read(&mut self.chunk).await?;
            if read == 0 {
                let cut = Fault::new(Code::Protocol, "the stream ends in the midst of a frame");
                let is_within = !self.buffer.is_empty() || self.opener.as_ref().is_some_and(Opener::is_within);
                return Err(if is_within { cut.into() } else { End::There });
            }
            match &mut self.opener {
                Some(opener) => self.broken = opener.open(&self.chunk[..read], &mut self.buffer).err(),
                None => self.buffer.extend_from_slice(&self.chunk[..read]),
            }
            if read == self.chunk.len() {
                self.chunk.resize(CHUNK_LEN, 0);
            }
        }
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), outlet: &mut impl Outlet, unwritten: &mut Outgoing) -> End {
    loop {
        let mut next = match timeout(Duration::from_secs(PING_SECS), outlet.next()).await {
            Ok(Some(message)) => Some(message),
            Ok(None) => return End::Here,
            Err(_) => Some(Ping {}.into()),
        };
        while let Some(message) = next {
            // The last thing that is said; whoever moves messages says it.
            if let Message::Fault(fault) = message {
                return fault.into();
            }
            // Welcome is the first that is encrypted on the broker's side, Proof the last that is not on the client's.
            if let Message::Welcome(_) = message {
                outlet.seal().into_iter().for_each(|seal| unwritten.seal_from_here(seal.sealer()));
            }
            unwritten.push(&message);
            if let Message::Proof(_) = message {
                outlet.seal().into_iter().for_each(|seal| unwritten.seal_from_here(seal.sealer()));
            }
            next = if unwritten.len() < CHUNK_LEN { outlet.try_next() } else { None };
        }
        if let Err(error) = unwritten.write_to(writer).await {
            return error.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex, split};
    use tokio::sync::mpsc;
    use tokio::time::{Instant, sleep};

    /// Answers pings like both real sides, and notes everything else.
    struct Side {
        came: Mutex<Vec<Message>>,
        answers: mpsc::UnboundedSender<Message>,
    }

    struct Answers(mpsc::UnboundedReceiver<Message>);

    fn side() -> (Side, Answers) {
        let (answers, receiver) = mpsc::unbounded_channel();
        (Side { came: Mutex::default(), answers }, Answers(receiver))
    }

    impl Inlet for Side {
        fn receive(&self, message: Message) -> Result<(), Fault> {
            if let Message::Ping(_) = message {
                self.answers.send(crate::message::Pong {}.into()).expect("the other half lives");
            }
            self.came.lock().unwrap().push(message);
            Ok(())
        }

        async fn room(&self) -> Result<(), Fault> {
            Ok(())
        }
    }

    impl Outlet for Answers {
        async fn next(&mut self) -> Option<Message> {
            self.0.recv().await
        }

        fn try_next(&mut self) -> Option<Message> {
            self.0.try_recv().ok()
        }
    }

    async fn run_side(stream: DuplexStream, (side, mut answers): (Side, Answers)) -> (End, Vec<Message>) {
        let (reader, writer) = split(stream);
        let end = run((reader, writer), &side, &mut answers).await;
        (end, side.came.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_lives_on_pings() {
        let (left, right) = duplex(1024);
        let (a, b) = (side(), side());
        a.0.answers.send(Ping {}.into()).unwrap();
        b.0.answers.send(Ping {}.into()).unwrap();
        let both = async { tokio::join!(run_side(left, a), run_side(right, b)) };
        assert!(timeout(Duration::from_hours(1), both).await.is_err(), "nobody ends it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_nothing_is_let_go_at_the_handshake() {
        let (left, mut right) = duplex(1024);
        let start = Instant::now();
        let (end, _) = run_side(left, side()).await;
        assert_eq!((end.to_string().as_str(), start.elapsed().as_secs()), ("no frame for 5 seconds", HANDSHAKE_SECS));
        let mut told = BytesMut::new();
        right.read_buf(&mut told).await.unwrap();
        let frame = frame::decode(&mut told, FRAME_LEN_MAX).unwrap().unwrap();
        let expected = Fault::new(Code::Silence, "no frame for 5 seconds");
        assert_eq!(Message::decode(frame), Ok(expected.into()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_falls_silent_is_pinged_and_then_let_go() {
        let (left, mut right) = duplex(1 << 20);
        let mut first = BytesMut::new();
        Message::from(Ping {}).encode(&mut first);
        right.write_all(&first).await.unwrap();
        // Half a frame is not a sign of life.
        let half = async {
            sleep(Duration::from_secs(40)).await;
            right.write_all(&first[..5]).await.unwrap();
            std::future::pending::<()>().await;
        };
        let start = Instant::now();
        let (end, came) = tokio::select! { ended = run_side(left, side()) => ended, () = half => unreachable!() };
        assert_eq!((end.to_string().as_str(), start.elapsed().as_secs()), ("no frame for 45 seconds", SILENCE_SECS));
        assert_eq!(came.len(), 1);
    }

    #[tokio::test]
    async fn what_came_before_a_record_that_does_not_open_is_taken() {
        let (near, far) = crate::seal::tests::pair();
        let mut plain = BytesMut::new();
        for len in [5, 6] {
            encode_publish(len, &mut plain);
        }
        let mut cut = BytesMut::new();
        encode_publish(7, &mut cut);
        // Two messages and a part of the third, then the rest of it in a record that was changed, then one more.
        plain.extend_from_slice(&cut.split_to(9));
        let (mut sealer, mut sent) = (near.sealer(), BytesMut::new());
        sealer.seal(&plain, &mut sent);
        let changed = sent.len() + 4;
        sealer.seal(&cut, &mut sent);
        encode_publish(8, &mut cut);
        sealer.seal(&cut, &mut sent);
        sent[changed] ^= 1;
        for is_agreed_late in [false, true] {
            let mut arrivals = Arrivals::new();
            let (mut reader, mut writer) = duplex(1 << 16);
            if is_agreed_late {
                // All of it came with the last message in the clear.
                arrivals.buffer.extend_from_slice(&sent);
            } else {
                writer.write_all(&sent).await.unwrap();
            }
            arrivals.open_from_here(far.opener());
            let (inlet, _answers) = side();
            for len in [5, 6] {
                let Message::Publish(mut parcel) = arrivals.next_message(&mut reader, &inlet).await.unwrap() else {
                    panic!("another message")
                };
                assert_eq!(parcel.pop().unwrap().payload.len(), len);
            }
            let end = arrivals.next_message(&mut reader, &inlet).await.unwrap_err();
            assert!(matches!(&end, End::Found(fault) if fault.text.contains("changed on its way")), "{end}");
        }
    }

    fn encode_publish(len: usize, out: &mut BytesMut) {
        let entry =
            crate::parcel::Entry { topic: "t".into(), payload: vec![7; len].into(), ..crate::parcel::Entry::default() };
        Message::Publish(entry.into()).encode(out);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_follows_the_frame_that_was_under_way() {
        let (left, mut right) = duplex(100);
        let (inlet, outlet) = side();
        let entry = crate::parcel::Entry { topic: "t".repeat(500).into(), ..Default::default() };
        let publish = Message::Publish(entry.into());
        inlet.answers.send(publish.clone()).unwrap();
        let peer = async {
            right.write_all(&[0; 16]).await.unwrap();
            sleep(Duration::from_millis(500)).await;
            let mut told = BytesMut::new();
            while right.read_buf(&mut told).await.unwrap() > 0 {}
            let mut next = || Message::decode(frame::decode(&mut told, FRAME_LEN_MAX).unwrap().unwrap()).unwrap();
            (next(), next())
        };
        let ((end, _), (first, second)) = tokio::join!(run_side(left, (inlet, outlet)), peer);
        assert_eq!(first, publish);
        let End::Found(fault) = end else { panic!("{end}") };
        assert_eq!(second, fault.into());
    }
}
