//! Where sessions are kept, and what they are called in the table of grants.
//!
//! For the table a *session* is who holds and wants: two lives of one client are two of its clients. What the life before may
//! still be using is then in the way of the life after like anybody else's, and there is no message about a lock of which it
//! would have to be asked whose life it means.

use tidelock_format::ClientId;

use super::session::Session;

/// One session's place. None is the same as any before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Seat {
    place: u32,
    serial: u32,
}

impl Seat {
    /// Which place it is: two sessions that are there at a time have two.
    pub(super) fn place(self) -> usize {
        self.place as usize
    }

    /// What the session is called in the table of grants.
    pub(super) fn holder(self) -> ClientId {
        let bits = u128::from(self.serial) << 64 | u128::from(self.place) << 1 | 1;
        ClientId::new(bits).expect("its last bit is set")
    }

    /// The session that is called so.
    pub(super) fn of(holder: ClientId) -> Self {
        let bits = holder.bits();
        Self { place: (bits >> 1) as u32, serial: (bits >> 64) as u32 }
    }
}

/// All sessions.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats {
    places: Vec<Option<(Seat, Session)>>,
    free: Vec<u32>,
    serial: u32,
}

impl Seats {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// # Panics
    /// After four billion sessions.
    pub(super) fn insert(&mut self, session: Session) -> Seat {
        self.serial = self.serial.checked_add(1).expect("nobody opens four billion sessions");
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            u32::try_from(self.places.len() - 1).expect("there are fewer places than sessions were opened")
        });
        let seat = Seat { place, serial: self.serial };
        self.places[place as usize] = Some((seat, session));
        seat
    }

    pub(super) fn get(&self, seat: Seat) -> Option<&Session> {
        let (there, session) = self.places.get(seat.place as usize)?.as_ref()?;
        (*there == seat).then_some(session)
    }

    pub(super) fn get_mut(&mut self, seat: Seat) -> Option<&mut Session> {
        let (there, session) = self.places.get_mut(seat.place as usize)?.as_mut()?;
        (*there == seat).then_some(session)
    }

    pub(super) fn remove(&mut self, seat: Seat) -> Option<Session> {
        self.get(seat)?;
        self.free.push(seat.place);
        self.places[seat.place as usize].take().map(|(_, session)| session)
    }

    /// All of them; in which order follows from what happened before alone.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Seat, &Session)> {
        self.places.iter().flatten().map(|(seat, session)| (*seat, session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_found_again_by_what_it_is_called() {
        let seat = Seat { place: u32::MAX, serial: 7 };
        assert_eq!(Seat::of(seat.holder()), seat);
    }
}
