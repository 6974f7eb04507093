//! The events that arrived in the last hours, as a picture and as a table.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::error::Error;
use crate::operations::{EventState, Filter, LoggedEvent, MAX_PAGE, Operations};

const HOURS: usize = 24;

const HOUR: u64 = 3_600;

/// How long the overview reads for the chart. A large log is read in part.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// The picture's size, in its own units.
const WIDTH: usize = 720;
const HEIGHT: usize = 150;
const LEFT: usize = 44;

/// Events by the hour of their arrival, the oldest hour first.
pub(super) struct Chart {
    pub(super) hours: Vec<Hour>,
    pub(super) total: u64,
    /// The highest hour, rounded up to a number that is easy to read.
    pub(super) top: u64,
    pub(super) is_partial: bool,
}

#[derive(Default)]
pub(super) struct Hour {
    /// Like `14:00`.
    pub(super) from: String,
    /// By state, in the order of [`EventState::ALL`].
    pub(super) events: [u64; 4],
    pub(super) bars: Vec<Bar>,
    /// The middle of its bars.
    pub(super) x: usize,
    pub(super) has_label: bool,
    /// Whether a narrow window has room for its label as well.
    pub(super) is_sixth: bool,
}

/// The events of one hour and one state.
pub(super) struct Bar {
    pub(super) state: &'static str,
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
}

impl Hour {
    pub(super) fn total(&self) -> u64 {
        self.events.iter().sum()
    }
}

impl Chart {
    /// Reads for a second at most.
    pub(super) async fn read(operations: &dyn Operations) -> Result<Self, Error> {
        let now = SystemTime::now();
        let filter = Filter::new().with_max_age(Duration::from_secs(HOUR * HOURS as u64));
        let started = Instant::now();
        let (mut chart, mut after) = (Self::empty(now), None);
        loop {
            let page = operations.list(&filter, after.as_ref(), MAX_PAGE).await?;
            page.events.iter().for_each(|event| chart.count(event, now));
            match page.next {
                None => break,
                Some(_) if started.elapsed() > READ_WITHIN => {
                    chart.is_partial = true;
                    break;
                }
                next => after = next,
            }
        }
        chart.draw();
        Ok(chart)
    }

    fn empty(now: SystemTime) -> Self {
        let this_hour = hour_of(now);
        let hours = (0..HOURS as u64).rev().map(|ago| {
            let hour = this_hour.saturating_sub(ago);
            Hour { from: format!("{:02}:00", hour % 24), ..Hour::default() }
        });
        Self { hours: hours.collect(), total: 0, top: 0, is_partial: false }
    }

    /// A clock of the store that is ahead does not lose an event.
    fn count(&mut self, event: &LoggedEvent, now: SystemTime) {
        let Some(at) = event.received_at().or(event.updated_at()) else { return };
        let ago = hour_of(now).saturating_sub(hour_of(at));
        let hour = usize::try_from(ago).ok().and_then(|ago| self.hours.iter_mut().rev().nth(ago));
        let state = EventState::ALL.iter().position(|state| *state == event.state());
        let Some(events) = hour.zip(state).and_then(|(hour, state)| hour.events.get_mut(state)) else {
            return;
        };
        *events += 1;
        self.total += 1;
    }

    fn draw(&mut self) {
        let highest = self.hours.iter().map(Hour::total).max().unwrap_or(0);
        self.top = round_up(highest);
        let wide = (WIDTH - LEFT) / HOURS;
        for (number, hour) in self.hours.iter_mut().enumerate() {
            let x = LEFT + number * wide;
            hour.x = x + wide / 2;
            hour.has_label = number % 3 == 2;
            hour.is_sixth = number % 6 == 5;
            let mut below = 0;
            let height_of = |events: u64| events.saturating_mul(HEIGHT as u64) / self.top;
            for (state, events) in EventState::ALL.into_iter().zip(hour.events).rev() {
                if events > 0 {
                    // From sums, so that rounding does not change the height of the hour.
                    let bottom = height_of(below);
                    below += events;
                    let height = (height_of(below) - bottom).max(1);
                    let y = (HEIGHT as u64).saturating_sub(bottom + height);
                    hour.bars.push(Bar { state: state.as_str(), x: x + 3, y, height });
                }
            }
        }
    }

    /// What the picture shows, in a sentence.
    pub(super) fn summary(&self) -> String {
        let part = if self.is_partial { "Of the part of the log that was read: " } else { "" };
        let Some(highest) = self.hours.iter().max_by_key(|hour| hour.total()).filter(|_| self.total > 0)
        else {
            return format!("{part}no event was received in the last {HOURS} hours.");
        };
        let events = if self.total == 1 { "event was" } else { "events were" };
        format!(
            "{part}{} {events} received in the last {HOURS} hours, {} of them in the hour from {} UTC.",
            self.total,
            highest.total(),
            highest.from
        )
    }

    pub(super) fn half(&self) -> u64 {
        self.top / 2
    }
}

/// An even number of a power of ten, so that its half is a number to show as well.
fn round_up(highest: u64) -> u64 {
    let mut power: u64 = 1;
    loop {
        for step in [2, 4, 6, 8, 10] {
            let top = power.saturating_mul(step);
            if top >= highest {
                return top;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// Hours since 1970.
fn hour_of(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / HOUR
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart_of(ages: &[(u64, EventState)], now: SystemTime) -> Chart {
        let mut chart = Chart::empty(now);
        for &(age, state) in ages {
            let at = now - Duration::from_secs(age);
            chart.count(&LoggedEvent::new("evt_1", state).with_received_at(at), now);
        }
        chart.draw();
        chart
    }

    #[test]
    fn events_are_shown_in_the_hour_of_their_arrival() {
        // 06:32:37
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_761_157);
        let (done, released) = (EventState::Processed, EventState::Released);
        let chart = chart_of(
            &[(0, done), (60, released), (3_600, done), (23 * 3_600, done), (99 * 3_600, done)],
            now,
        );
        let shown: Vec<(&str, u64)> = chart.hours.iter().map(|hour| (&*hour.from, hour.total())).collect();
        assert_eq!(shown.len(), 24);
        assert_eq!((shown[0], shown[22], shown[23]), (("07:00", 1), ("05:00", 1), ("06:00", 2)));
        assert_eq!(chart.total, 4);
        assert_eq!(
            chart.summary(),
            "4 events were received in the last 24 hours, 2 of them in the hour from 06:00 UTC."
        );
    }

    #[test]
    fn bars_fill_the_picture_and_stay_within_it() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_761_157);
        let states = EventState::ALL.into_iter().cycle();
        let many: Vec<(u64, EventState)> = (0..1_000).map(|number| number % 3).zip(states).collect();
        let chart = chart_of(&many, now);
        assert_eq!(chart.top, 1_000);
        let bars = &chart.hours[23].bars;
        assert_eq!(bars.iter().map(|bar| bar.height).sum::<u64>(), HEIGHT as u64);
        assert!(bars.iter().all(|bar| bar.y + bar.height <= HEIGHT as u64 && bar.x + 22 <= WIDTH));
        assert!(chart_of(&[], now).hours.iter().all(|hour| hour.bars.is_empty()));
    }

    #[test]
    fn the_scale_is_easy_to_read() {
        for (highest, top) in [(0, 2), (1, 2), (3, 4), (7, 8), (11, 20), (501, 600), (1_000, 1_000)] {
            assert_eq!(round_up(highest), top);
        }
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }
}
