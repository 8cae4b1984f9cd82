//! What the figures were measured on, and whether it had other things to do.

use std::fs;

use crate::threads::Processors;

/// One line: processors, model, kernel, compiler.
pub fn description(processors: &Processors) -> String {
    let model = model_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let kernel = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} × {model}, Linux {}, {}", processors.count(), kernel.trim(), env!("TIDELOCK_RUSTC"))
}

fn model_name() -> Option<String> {
    let info = read("/proc/cpuinfo")?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Tells that other processes want the processors too, if so.
pub fn busy_warning() -> Option<String> {
    let waiting_percent = read("/proc/pressure/cpu").and_then(|text| waiting_percent(&text));
    if let Some(percent) = waiting_percent.filter(|&percent| percent > WAITING_PERCENT_MAX) {
        return Some(warning(&format!(
            "processes waited for a processor {percent} % of the last ten seconds"
        )));
    }
    let load = read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse::<f64>().ok())?;
    (load > LOAD_MAX).then(|| warning(&format!("the load of the last minute is {load}")))
}

fn warning(reason: &str) -> String {
    format!("the machine looks busy ({reason}): trust the ratios' medians, not single figures")
}

/// A quiet machine stays below both.
const WAITING_PERCENT_MAX: f64 = 5.0;
const LOAD_MAX: f64 = 0.7;

/// `avg10` of the line `some` of a PSI file.
fn waiting_percent(pressure: &str) -> Option<f64> {
    let some = pressure.lines().find(|line| line.starts_with("some"))?;
    some.split(' ').find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_read_from_the_kernels_line() {
        let text = "some avg10=12.50 avg60=3.00 avg300=1.00 total=5\nfull avg10=0.00 avg60=0.00 total=0\n";
        assert_eq!(waiting_percent(text), Some(12.5));
        assert_eq!(waiting_percent("garbage"), None);
    }

    #[test]
    fn the_description_names_the_compiler() {
        assert!(description(&Processors::allowed().unwrap()).contains("rustc 1."));
    }
}
