//! Reports of the benchmarks. A missed goal is printed and is no failure, because a busy machine also causes it.

#![allow(dead_code, reason = "each benchmark uses a part")]

use std::fs;

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

pub(crate) fn goal(goal: &str, reached: bool) {
    println!("goal: {goal}: {}", if reached { "PASS" } else { "MISS" });
}

/// Goals with their figures, for the end of a run.
#[derive(Default)]
pub(crate) struct Reach(Vec<(String, String, bool)>);

impl Reach {
    pub(crate) fn at_least(&mut self, what: &str, goal: f64, figure: f64) {
        self.0.push((format!("{what}: at least {goal} times"), format!("{figure:.2}"), figure >= goal));
    }

    pub(crate) fn at_most(&mut self, what: &str, goal: f64, figure: f64) {
        self.0.push((format!("{what}: at most {goal} times"), format!("{figure:.2}"), figure <= goal));
    }

    pub(crate) fn lower(&mut self, what: &str, figure: f64, than: f64) {
        self.0.push((format!("{what}: lower"), format!("{figure:.2} / {than:.2}"), figure < than));
    }

    pub(crate) fn print(&self) {
        println!("\n| goal | figure | |\n|---|---|---|");
        for (goal, figure, reached) in &self.0 {
            println!("| {goal} | {figure} | {} |", if *reached { "reached" } else { "missed" });
        }
    }
}

/// How many processes wanted a core in the last minute, on Linux: what else ran.
pub(crate) fn print_load(when: &str) {
    if let Ok(load) = fs::read_to_string("/proc/loadavg") {
        println!("load average {when}: {}", load.split(' ').next().unwrap_or_default());
    }
}

/// The memory of this process, in MB, on Linux.
pub(crate) fn megabytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kilobytes.unwrap_or(0_usize) / 1_024
}
