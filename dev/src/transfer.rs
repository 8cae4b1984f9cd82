//! How far a request to a file has come. The kernel may move fewer bytes than asked for, or none for now; the rest is
//! asked for again, a bounded number of times.

use std::fs::File;

use rustix::io::Errno;

use crate::{Fault, Operation, Request};

/// Tries that move nothing before a request fails with what the kernel says. Generous: `EAGAIN` comes under memory
/// pressure, `ECANCELED` when the thread that submitted has ended before the kernel came to its request.
const RETRIES_MAX: u8 = 32;

/// A request and its progress.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) request: Request,
    moved: usize,
    retries: u8,
}

/// What to do after the kernel has answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask for the rest.
    Again,
    /// It has ended.
    Ended(Result<(), Fault>),
}

impl Transfer {
    pub(crate) fn new(request: Request) -> Self {
        Self { request, moved: 0, retries: 0 }
    }

    /// Where on the device the rest begins.
    pub(crate) fn offset(&self) -> u64 {
        self.request.range.offset() + self.moved as u64
    }

    /// Bytes moved so far, which is where in the buffer the rest begins.
    pub(crate) fn moved(&self) -> usize {
        self.moved
    }

    /// Bytes still to move.
    pub(crate) fn rest(&self) -> usize {
        self.request.range.len() as usize - self.moved
    }

    /// All of it on the calling thread. A read or a write, of a file whose unit is `align`.
    pub(crate) fn run(&mut self, file: &File, align: usize) -> Result<(), Fault> {
        // Bound: each call moves bytes, or is one of RETRIES_MAX that do not.
        loop {
            let step = match self.call(file) {
                Ok(bytes) => self.moved_on(bytes, align),
                Err(errno) => self.failed(errno.raw_os_error(), [Errno::INTR, Errno::AGAIN].contains(&errno)),
            };
            if let Step::Ended(result) = step {
                return result;
            }
        }
    }

    fn call(&mut self, file: &File) -> Result<usize, Errno> {
        let (offset, moved) = (self.offset(), self.moved);
        if self.request.operation == Operation::Read {
            rustix::io::pread(file, &mut self.request.bytes_mut()[moved..], offset)
        } else {
            rustix::io::pwrite(file, &self.request.bytes()[moved..], offset)
        }
    }

    /// The kernel moved `bytes`. `align` is the device's unit: a file that ends inside a unit cannot be asked for the
    /// rest of it.
    pub(crate) fn moved_on(&mut self, bytes: usize, align: usize) -> Step {
        if self.request.operation == Operation::Flush {
            return Step::Ended(Ok(()));
        }
        self.moved += bytes;
        if self.rest() == 0 {
            return Step::Ended(Ok(()));
        }
        if bytes == 0 || !bytes.is_multiple_of(align) {
            return Step::Ended(Err(Fault::Short { got: self.moved as u64 }));
        }
        Step::Again
    }

    /// The kernel refused with error `number`; `passing` tells whether that may be over when asked again.
    pub(crate) fn failed(&mut self, number: i32, passing: bool) -> Step {
        self.retries += 1;
        if passing && self.retries <= RETRIES_MAX {
            return Step::Again;
        }
        Step::Ended(Err(Fault::Os(number)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidelock_format::DeviceRange;

    use super::*;
    use crate::{AlignedBuffer, Buffer, Completer, Completion};

    struct Nobody;

    impl Completer for Nobody {
        fn complete(&self, _: Completion) {}
    }

    fn transfer(operation: Operation) -> Transfer {
        Transfer::new(Request {
            operation,
            range: DeviceRange::new(4096, 8192).unwrap(),
            buffer: Some(Buffer::Owned(AlignedBuffer::zeroed(8192, 512))),
            tag: 0,
            completer: Arc::new(Nobody),
        })
    }

    #[test]
    fn a_short_transfer_goes_on_where_it_stopped() {
        let mut read = transfer(Operation::Read);
        assert_eq!(read.moved_on(512, 512), Step::Again);
        assert_eq!((read.offset(), read.moved(), read.rest()), (4608, 512, 7680));
        assert_eq!(read.moved_on(7680, 512), Step::Ended(Ok(())));
    }

    #[test]
    fn the_end_of_the_file_ends_it_short() {
        assert_eq!(transfer(Operation::Read).moved_on(0, 512), Step::Ended(Err(Fault::Short { got: 0 })));
        assert_eq!(transfer(Operation::Read).moved_on(100, 512), Step::Ended(Err(Fault::Short { got: 100 })));
    }

    #[test]
    fn what_passes_is_tried_again_but_not_for_ever() {
        let mut write = transfer(Operation::Write);
        for _ in 0..RETRIES_MAX {
            assert_eq!(write.failed(11, true), Step::Again);
        }
        assert_eq!(write.failed(11, true), Step::Ended(Err(Fault::Os(11))));
        assert_eq!(transfer(Operation::Write).failed(5, false), Step::Ended(Err(Fault::Os(5))));
    }
}
