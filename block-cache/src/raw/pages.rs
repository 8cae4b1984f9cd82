//! Which pages memory comes in.

/// Which pages some memory should come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Ordinary ones.
    Small,
    /// Huge ones, from a length that is worth one. A wish: a kernel without them serves ordinary ones.
    Huge,
}
