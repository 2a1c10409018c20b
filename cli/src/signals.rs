//! Ctrl-C and its relatives, for commands that go on until they are told to stop and for those in a pager.

use std::sync::mpsc::{Receiver, channel};

use tokio::runtime::{Builder, Runtime};

use crate::failed;

/// 128 and the number of the signal, as shells have it.
const INTERRUPTED: i32 = 130;

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_io().build()
}

/// The terminal has another size.
pub(crate) struct Resized;

/// Ends the program when it is asked to stop, after `restore`; from then on tells when the terminal was resized.
pub(crate) fn end_on_request(restore: impl Fn() + Send + 'static) -> anyhow::Result<Receiver<Resized>> {
    let (resized, receiver) = channel();
    let unable = |error| failed("cannot take signals", error, "close other programs and try again");
    let runtime = runtime().map_err(unable)?;
    let wait = requests(&runtime).map_err(unable)?;
    let end = move || {
        let code = runtime.block_on(wait(&|| {
            let _nobody_draws = resized.send(Resized).is_err();
        }));
        restore();
        std::process::exit(code);
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(end).map_err(unable)?;
    Ok(receiver)
}

/// From now on Ctrl-C does not end this program, but whatever it waits for.
#[cfg(unix)]
pub(crate) fn leave_interrupts_to_others() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(runtime) = runtime() else { return };
    let _entered = runtime.enter();
    // Once taken, a signal stays taken.
    let _taken = signal(SignalKind::interrupt());
}

#[cfg(not(unix))]
pub(crate) fn leave_interrupts_to_others() {}

/// Takes the signals at once, and gives what waits for the one that asks to stop: its exit code.
#[cfg(unix)]
fn requests(runtime: &Runtime) -> std::io::Result<impl AsyncFnOnce(&dyn Fn()) -> i32 + Send + use<>> {
    use tokio::signal::unix::{SignalKind, signal};
    let _entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut window = signal(SignalKind::window_change())?;
    Ok(async move |resized: &dyn Fn()| {
        loop {
            tokio::select! {
                _ = interrupt.recv() => return INTERRUPTED,
                _ = terminate.recv() => return 128 + SignalKind::terminate().as_raw_value(),
                _ = hangup.recv() => return 128 + SignalKind::hangup().as_raw_value(),
                _ = window.recv() => resized(),
            }
        }
    })
}

#[cfg(not(unix))]
fn requests(_runtime: &Runtime) -> std::io::Result<impl AsyncFnOnce(&dyn Fn()) -> i32 + Send + use<>> {
    Ok(async move |_: &dyn Fn()| {
        let _pressed = tokio::signal::ctrl_c().await;
        INTERRUPTED
    })
}
