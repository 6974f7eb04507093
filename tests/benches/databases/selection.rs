//! The part to measure.

use std::env;
use std::error::Error;

const IN_FLIGHT: [usize; 5] = [1, 16, 64, 256, 1024];

/// Without arguments, everything is measured.
pub(crate) struct Selection {
    log: Option<String>,
    guarantee: Option<String>,
    pub(crate) in_flight: Option<usize>,
    /// For each handler in each round.
    pub(crate) seconds: f64,
}

impl Selection {
    pub(crate) fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let mut selection = Self { log: None, guarantee: None, in_flight: None, seconds: 0.4 };
        // Cargo passes `--bench`.
        let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} of what?"))?;
            match name.as_str() {
                "--log" => selection.log = Some(value),
                "--guarantee" => selection.guarantee = Some(value),
                "--in-flight" => selection.in_flight = Some(value.parse()?),
                "--seconds" => selection.seconds = value.parse()?,
                _ => return Err(format!("{name}: not one of --log --guarantee --in-flight --seconds").into()),
            }
        }
        Ok(selection)
    }

    pub(crate) fn has_log(&self, log: &str) -> bool {
        self.log.as_deref().is_none_or(|selected| selected == log)
    }

    pub(crate) fn has_guarantee(&self, guarantee: &str) -> bool {
        self.guarantee.as_deref().is_none_or(|selected| selected == guarantee)
    }

    pub(crate) fn in_flight(&self) -> Vec<usize> {
        self.in_flight.map_or(IN_FLIGHT.to_vec(), |only| vec![only])
    }

    /// Whether there is enough of it for a plot.
    pub(crate) fn is_whole(&self) -> bool {
        self.guarantee.is_none() && self.in_flight.is_none()
    }
}
