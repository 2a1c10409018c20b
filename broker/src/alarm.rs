//! Waits shorter than a millisecond, which is the least that the timers of tasks know.
//!
//! On Linux, a timer of the system among the descriptors that the task waits for: no thread has to be woken to wake the
//! task. Elsewhere, and where no descriptor is left, the wait ends with the next millisecond.

use std::time::Instant;

/// Wakes the task that waits for it.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: linux::Timer,
}

impl Alarm {
    /// Resolves at that time, or soon after it.
    pub(crate) async fn rings(&mut self, at: Instant) {
        #[cfg(target_os = "linux")]
        if self.timer.rings(at).await.is_ok() {
            return;
        }
        tokio::time::sleep_until(at.into()).await;
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::time::{Duration, Instant};

    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// The system's timer, from the first time on that it is asked for.
    #[derive(Debug, Default)]
    pub(super) struct Timer {
        descriptor: Option<AsyncFd<Descriptor>>,
        /// When it was set to expire.
        set_to: Option<Instant>,
    }

    #[derive(Debug)]
    struct Descriptor(TimerFd);

    impl AsRawFd for Descriptor {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    impl Timer {
        pub(super) async fn rings(&mut self, at: Instant) -> io::Result<()> {
            let descriptor = match &mut self.descriptor {
                Some(descriptor) => descriptor,
                none => none.insert(watched(TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?)?),
            };
            if self.set_to != Some(at) {
                // Nothing would be no wait but none at all.
                let wait = at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
                let once = Expiration::OneShot(TimeSpec::from_duration(wait));
                descriptor.get_ref().0.set(once, TimerSetTimeFlags::empty())?;
                self.set_to = Some(at);
            }
            let mut expirations = [0; size_of::<u64>()];
            loop {
                let mut ready = descriptor.readable().await?;
                match ready.try_io(|timer| Ok(nix::unistd::read(&timer.get_ref().0, &mut expirations)?)) {
                    Ok(read) => {
                        self.set_to = None;
                        return read.map(drop);
                    }
                    Err(_not_yet) => {}
                }
            }
        }
    }

    #[expect(deprecated, reason = "what replaces it is unsafe; a timer keeps its descriptor for as long as it lives")]
    fn watched(timer: TimerFd) -> io::Result<AsyncFd<Descriptor>> {
        AsyncFd::with_interest(Descriptor(timer), Interest::READABLE)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_rings_at_the_time_that_was_said_last_and_again() {
        let mut alarm = Alarm::default();
        let soon = |micros| Instant::now() + Duration::from_micros(micros);
        for micros in [300, 0, 700] {
            let at = soon(micros);
            alarm.rings(at).await;
            assert!(Instant::now() >= at);
        }
        // Given up before it rang, asked for another time: neither rings sooner because of the other.
        let (early, late) = (soon(200), soon(3_000));
        tokio::select! { biased; () = alarm.rings(early) => panic!("it rang at once"), () = std::future::ready(()) => {} }
        alarm.rings(late).await;
        assert!(Instant::now() >= late);
    }
}
