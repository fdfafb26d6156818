//! A descriptor that JavaScript names by its number, reads into memory that nothing was written to, and what the system
//! says of a socket.

#[cfg(target_os = "linux")]
use bytes::BufMut;
#[cfg(target_os = "linux")]
use rustix::io::{Errno, fcntl_dupfd_cloexec};
#[cfg(target_os = "linux")]
use rustix::net::{RecvFlags, recv};
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, OwnedFd};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

#[cfg(target_os = "linux")]
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

#[cfg(target_os = "linux")]
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

/// How many bytes of a socket the peer's system does not have yet; 0 where the system does not say.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn unacknowledged(fd: BorrowedFd<'_>) -> u32 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open, and the system writes one number of this type, if anything.
    unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    u32::try_from(bytes).unwrap_or(0)
}

/// How many bytes of a socket the peer's system does not have yet; 0 where the system does not say.
#[cfg(target_vendor = "apple")]
pub(crate) fn unacknowledged(fd: BorrowedFd<'_>) -> u32 {
    let mut bytes: libc::c_int = 0;
    let mut len = libc::socklen_t::try_from(size_of_val(&bytes)).unwrap_or(0);
    // SAFETY: the descriptor is open, and the system writes one number of this type and its length, if anything.
    unsafe {
        let (bytes, len) = ((&raw mut bytes).cast(), &raw mut len);
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NWRITE, bytes, len)
    };
    u32::try_from(bytes).unwrap_or(0)
}

/// 0: the system does not say.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn unacknowledged(_: BorrowedFd<'_>) -> u32 {
    0
}

/// The same for a socket that JavaScript names.
pub(crate) fn unacknowledged_of(fd: RawFd) -> u32 {
    if fd < 0 {
        return 0;
    }
    // SAFETY: the number is borrowed for this one call of the system, which says so if it is not open. Which socket it
    // stands for was read from an open handle of Node's in the same tick.
    unacknowledged(unsafe { BorrowedFd::borrow_raw(fd) })
}
