//! A timer to some ten microseconds, where the runtime's own is to a millisecond.

use std::io;
use std::time::Duration;

/// One timer, used again and again.
#[derive(Debug)]
pub(super) struct Alarm {
    /// A timer of the kernel's, which tokio takes for a pipe: it waits until there is something to read and reads it,
    /// and that is all there is to do. Its type for descriptors of every kind cannot be made without `unsafe`.
    #[cfg(target_os = "linux")]
    timer: tokio::net::unix::pipe::Receiver,
}

#[cfg(target_os = "linux")]
impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { timer: tokio::net::unix::pipe::Receiver::from_owned_fd_unchecked(timer)? })
    }

    /// Waits for so long.
    pub(super) async fn sleep(&mut self, span: Duration) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        // A timer that is set to zero never rings.
        let span = span.max(Duration::from_nanos(1));
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec::try_from(span)
            .map_err(|_| io::Error::other("it is too long for the system's timer"))?;
        let spec = Itimerspec { it_interval: never, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
        loop {
            self.timer.readable().await?;
            // How often it rang.
            let mut count = [0; 8];
            match self.timer.try_read(&mut count) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                rung => return rung.map(drop),
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(super) async fn sleep(&mut self, span: Duration) -> io::Result<()> {
        tokio::time::sleep(span).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn it_rings_not_early_and_more_than_once() {
        let mut alarm = Alarm::new().unwrap();
        for micros in [0, 1, 300, 2000] {
            let (span, start) = (Duration::from_micros(micros), Instant::now());
            alarm.sleep(span).await.unwrap();
            assert!(start.elapsed() >= span);
        }
    }
}
