//! Who took which reference: the answer to "what leaked?".
//!
//! Off by default, since it takes a mutex per reference. When it is on, each [`Block`](crate::Block) has a ticket, and the
//! report on closing names the line of code behind each ticket that was not handed in.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::Mutex;

use crate::raw::frame::FrameNo;

/// A reference's number; 0 when nobody keeps book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(u32);

#[derive(Debug, Default)]
struct Book {
    last: u32,
    taken: HashMap<u32, (FrameNo, &'static Location<'static>)>,
}

impl Ticket {
    /// Of a reference that is not noted.
    pub(crate) const NONE: Self = Self(0);
}

/// The book of references.
#[derive(Debug)]
pub(crate) struct References {
    book: Option<Mutex<Book>>,
}

impl References {
    pub(crate) fn new(keep_book: bool) -> Self {
        Self { book: keep_book.then(Mutex::default) }
    }

    /// Whether references are noted.
    #[inline(always)]
    pub(crate) fn are_noted(&self) -> bool {
        self.book.is_some()
    }

    /// Notes a reference to `frame` that was taken at `site`.
    #[inline(always)]
    pub(crate) fn note(&self, frame: FrameNo, site: &'static Location<'static>) -> Ticket {
        match &self.book {
            None => Ticket::NONE,
            Some(book) => Self::write(book, frame, site),
        }
    }

    #[cold]
    fn write(book: &Mutex<Book>, frame: FrameNo, site: &'static Location<'static>) -> Ticket {
        let mut book = book.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // Bound: fewer than 2^32 references live at a time, so a free number comes up.
        loop {
            book.last = book.last.checked_add(1).unwrap_or(1);
            if !book.taken.contains_key(&book.last) {
                break;
            }
        }
        let number = book.last;
        book.taken.insert(number, (frame, site));
        Ticket(number)
    }

    /// The reference is gone.
    #[inline(always)]
    pub(crate) fn forget(&self, ticket: Ticket) {
        if ticket.0 != 0 {
            self.strike(ticket);
        }
    }

    #[cold]
    fn strike(&self, ticket: Ticket) {
        if let Some(book) = &self.book {
            book.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).taken.remove(&ticket.0);
        }
    }

    /// Where the references to `frame` were taken that are still out.
    pub(crate) fn of(&self, frame: FrameNo) -> Vec<&'static Location<'static>> {
        let Some(book) = &self.book else { return Vec::new() };
        let book = book.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        book.taken.values().filter(|(of, _)| *of == frame).map(|(_, site)| *site).collect()
    }
}
