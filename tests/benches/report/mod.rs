//! What the benchmarks share of reporting. A missed goal is printed, not failed: a busy machine is
//! no defect.

#[allow(dead_code)] // not every benchmark repeats itself
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

pub(crate) fn goal(goal: &str, reached: bool) {
    println!("goal: {goal}: {}", if reached { "PASS" } else { "MISS" });
}
