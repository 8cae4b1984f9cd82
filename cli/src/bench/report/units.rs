//! Numbers as people read them: three digits and a unit.

/// A time: 23 ns, 4.56 µs, 78.9 ms.
pub(super) fn time(ns: f64) -> String {
    scaled(ns, &[(1e9, "s"), (1e6, "ms"), (1e3, "µs")], "ns")
}

/// A rate or a count: 512, 45.6 k, 7.89 M.
pub(super) fn count(count: f64) -> String {
    scaled(count, &[(1e9, "G"), (1e6, "M"), (1e3, "k")], "").trim_end().into()
}

/// A share: 97.3 %.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Bytes in powers of two: 128 MiB.
pub(super) fn bytes(bytes: f64) -> String {
    const KIB: f64 = 1024.0;
    scaled(bytes, &[(KIB * KIB * KIB, "GiB"), (KIB * KIB, "MiB"), (KIB, "KiB")], "B")
}

fn scaled(value: f64, units: &[(f64, &str)], unit: &str) -> String {
    let (value, unit) = units
        .iter()
        .find(|(size, _)| value >= *size)
        .map_or((value, unit), |(size, unit)| (value / size, *unit));
    match value {
        value if value >= 100.0 || value.fract() == 0.0 => format!("{value:.0} {unit}"),
        value if value >= 10.0 => format!("{value:.1} {unit}"),
        value => format!("{value:.2} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        assert_eq!([time(23.4), time(4567.0), time(78.94e6)], ["23.4 ns", "4.57 µs", "78.9 ms"]);
        assert_eq!([count(512.0), count(45_600.0), count(7.891e6)], ["512", "45.6 k", "7.89 M"]);
        assert_eq!([bytes(134_217_728.0), bytes(1536.0)], ["128 MiB", "1.50 KiB"]);
        assert_eq!(percent(0.9734), "97.3 %");
    }
}
