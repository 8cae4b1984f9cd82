//! Fields of a word neither overlap nor leak into each other.

use proptest::prelude::*;

use crate::word::Field;

proptest! {
    #[test]
    fn a_field_holds_what_was_put_and_leaves_the_others_alone(
        widths in (1u32..=20, 1u32..=20, 1u32..=24), values: (u64, u64, u64), word: u64,
    ) {
        let low = Field::first(widths.0);
        let middle = low.then(widths.1);
        let high = middle.then(widths.2);
        prop_assert_eq!(low.mask() & middle.mask(), 0);
        prop_assert_eq!((low.mask() | middle.mask()) & high.mask(), 0);
        let (a, b, c) = (values.0 & low.max(), values.1 & middle.max(), values.2 & high.max());
        let packed = high.put(middle.put(low.put(word, a), b), c);
        prop_assert_eq!((low.get(packed), middle.get(packed), high.get(packed)), (a, b, c));
        let all = low.mask() | middle.mask() | high.mask();
        prop_assert_eq!(packed & !all, word & !all);
    }
}

#[test]
#[should_panic(expected = "do not fit in 64 bits")]
fn fields_that_do_not_fit_are_refused() {
    let _ = Field::first(40).then(25);
}
