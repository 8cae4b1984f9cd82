//! Numbers and bytes as a peer says them that may mean what it says, be a little off, or make something up.

use arbitrary::Arbitrary;

/// A number: mostly the right one, for a peer that is wrong from the first word on gets nowhere.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Figure {
    /// What a peer that keeps to the protocol would say.
    Right,
    /// The same.
    RightToo,
    /// A bit more or less than that.
    Near(i8),
    /// Anything.
    Any(u64),
}

impl Figure {
    /// The number, where this one is right.
    pub fn of(self, right: u64) -> u64 {
        match self {
            Figure::Right | Figure::RightToo => right,
            Figure::Near(off) => right.wrapping_add_signed(off.into()),
            Figure::Any(number) => number,
        }
    }
}

/// What surrounds a message.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Numbering {
    /// Its number.
    pub number: Figure,
    /// How far its sender is done.
    pub done: Figure,
    /// The incarnation that it names.
    pub incarnation: Figure,
    /// The term.
    pub term: Figure,
}

/// What happens to bytes on their way.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Damage {
    /// Only so many arrive.
    Cut(u8),
    /// One bit is another.
    Flip(u16),
    /// One byte is another.
    Put(u8, u8),
    /// There are more.
    Longer(u8),
}

impl Damage {
    /// Does it to these.
    pub fn strike(self, bytes: &mut Vec<u8>) {
        let len = bytes.len().max(1);
        match self {
            Damage::Cut(at) => bytes.truncate(usize::from(at) % len),
            Damage::Flip(bit) => {
                let (place, mask) = (usize::from(bit / 8) % len, 1 << (bit % 8));
                bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= mask);
            }
            Damage::Put(at, to) => {
                bytes.iter_mut().skip(usize::from(at) % len).take(1).for_each(|it| *it = to)
            }
            Damage::Longer(by) => bytes.extend(std::iter::repeat_n(by, usize::from(by))),
        }
    }
}
