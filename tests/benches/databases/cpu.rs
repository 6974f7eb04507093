//! The processor time of this process and of the servers that it started. It is read from Linux's `/proc`; other
//! systems report none.

use std::collections::HashMap;
use std::fs;
use std::ops::{AddAssign, Sub};

/// Ticks of a hundredth of a second.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) client: u32,
    pub(crate) server: u32,
}

impl Cpu {
    pub(crate) fn now() -> Self {
        let mut ticks = HashMap::new();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let id = process.file_name().to_string_lossy().parse::<u32>();
            let stat = fs::read_to_string(process.path().join("stat"));
            if let (Ok(id), Ok(stat)) = (id, stat)
                && let Some((parent, used)) = parent_and_ticks(&stat)
            {
                ticks.insert(id, (parent, used));
            }
        }
        let own = std::process::id();
        let mut cpu = Self::default();
        for (&id, &(mut parent, used)) in &ticks {
            if id == own {
                cpu.client += used;
                continue;
            }
            while let Some(&(above, _)) = ticks.get(&parent) {
                if parent == own {
                    cpu.server += used;
                }
                parent = above;
            }
        }
        cpu
    }
}

/// The 4th, and the 14th and 15th field; the 2nd is a name that may hold spaces.
fn parent_and_ticks(stat: &str) -> Option<(u32, u32)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u32>().ok();
    Some((field(4)?, field(14)? + field(15)?))
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            client: self.client.saturating_sub(before.client),
            server: self.server.saturating_sub(before.server),
        }
    }
}

impl AddAssign for Cpu {
    fn add_assign(&mut self, more: Self) {
        self.client += more.client;
        self.server += more.server;
    }
}
