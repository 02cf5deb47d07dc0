//! Descriptors in transit: the front gets its sockets and files before the first frame.
//!
//! Each message has one octet, the number of its descriptors; a message with 0 is the last.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::limits::DESCRIPTORS;

/// Sends descriptors. The receiver gets duplicates, in this order.
///
/// # Errors
/// Those of `sendmsg(2)`.
pub fn send_descriptors(socket: impl AsFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    for chunk in descriptors.chunks(DESCRIPTORS).chain([&[][..]]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !chunk.is_empty() {
            let fits = control.push(SendAncillaryMessage::ScmRights(chunk));
            debug_assert!(fits, "the space is for a whole chunk");
        }
        let count = [u8::try_from(chunk.len()).expect("a chunk is smaller than 256")];
        sendmsg(
            socket.as_fd(),
            &[IoSlice::new(&count)],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
    }
    Ok(())
}

/// Receives all descriptors of one [`send_descriptors`]. They are closed on exec.
///
/// # Errors
/// Those of `recvmsg(2)`; `InvalidData` if the sender is another program.
pub fn receive_descriptors(socket: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut all = Vec::new();
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut count = [0];
        let message = recvmsg(
            socket.as_fd(),
            &mut [IoSliceMut::new(&mut count)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = all.len();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                all.extend(descriptors);
            }
        }
        if all.len() - before != usize::from(count[0]) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if count[0] == 0 {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn descriptors_arrive_in_order_and_the_bytes_after_them_remain() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let files: Vec<File> = (0..130).map(|_| tempfile::tempfile().unwrap()).collect();
        for (mut file, number) in files.iter().zip(0_u8..) {
            file.write_all(&[number]).unwrap();
        }
        let borrowed: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
        send_descriptors(&one, &borrowed).unwrap();
        one.write_all(b"rest").unwrap();
        let received = receive_descriptors(&other).unwrap();
        assert_eq!(received.len(), files.len());
        for (descriptor, number) in received.into_iter().zip(0_u8..) {
            let mut byte = [0];
            rustix::io::pread(&descriptor, &mut byte, 0).unwrap();
            assert_eq!(byte, [number]);
        }
        let mut rest = [0; 4];
        other.read_exact(&mut rest).unwrap();
        assert_eq!(&rest, b"rest");
    }
}
