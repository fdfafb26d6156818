//! A descriptor that JavaScript names by its number, reads into memory that nothing was written to, and what the system
//! says of a socket.

use bytes::BufMut;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{RecvFlags, recv};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Another descriptor of the same socket: it is ours to close, whatever happens to the first.
pub(crate) fn duplicate(fd: RawFd) -> Result<OwnedFd, Errno> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the number is borrowed for this one call of the system, which says so if it is not open. Which socket it
    // stands for was read from an open handle of Node's in the same tick.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl_dupfd_cloexec(borrowed, 3)
}

/// Reads into the spare room of a buffer; 0 is the end of what the peer sends.
pub(crate) fn receive(fd: impl AsFd, buffer: &mut impl BufMut) -> Result<usize, Errno> {
    // SAFETY: the system only writes, and only as much as it says; so much is then initialised.
    unsafe {
        let room = buffer.chunk_mut().as_uninit_slice_mut();
        let ((filled, _), _) = recv(fd, room, RecvFlags::DONTWAIT)?;
        let read = filled.len();
        buffer.advance_mut(read);
        Ok(read)
    }
}

/// How many bytes the system has that the peer's did not acknowledge yet; 0 where it does not say.
pub(crate) fn unacknowledged(fd: BorrowedFd<'_>) -> u32 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open, and the system writes one number of this type, if anything.
    unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    u32::try_from(bytes).unwrap_or(0)
}
