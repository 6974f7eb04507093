//! Messages to and from the browser: JSON, each with a zero byte at its end.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::{Value, json};

use super::PATIENCE;

#[derive(Debug)]
pub(super) struct Pipe {
    to: ChildStdin,
    from: Receiver<Value>,
    last_id: u64,
    /// What happened, the oldest first. A tab takes its own.
    events: VecDeque<Value>,
}

impl Pipe {
    pub(super) fn new(to: ChildStdin, from: ChildStdout) -> Self {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut message = Vec::new();
            while from.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                // A message that is no JSON is of no use to anybody.
                let Ok(read) = serde_json::from_slice(&message) else { break };
                if sender.send(read).is_err() {
                    break;
                }
                message.clear();
            }
        });
        Self { to, from: receiver, last_id: 0, events: VecDeque::new() }
    }

    /// Sends a command to the browser, or to the tab of a session, and waits for its answer.
    pub(super) fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
    ) -> Result<Value, String> {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut message = command.to_string().into_bytes();
        message.push(0);
        self.to.write_all(&message).and_then(|()| self.to.flush()).map_err(|error| error.to_string())?;
        let until = Instant::now() + PATIENCE;
        loop {
            let mut answer = self.receive(until)?;
            if answer["id"] == id {
                return match answer.get("error") {
                    Some(error) => Err(error.to_string()),
                    None => Ok(answer["result"].take()),
                };
            }
            self.events.push_back(answer);
        }
    }

    /// Waits for an event of the session, and removes it.
    pub(super) fn wait_for(&mut self, session: &str, method: &str) -> Result<Value, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let is_it = |event: &Value| event["sessionId"] == session && event["method"] == method;
            if let Some(position) = self.events.iter().position(is_it) {
                return self.events.remove(position).ok_or_else(|| "it is gone".to_owned());
            }
            let event = self.receive(until).map_err(|error| format!("no {method}: {error}"))?;
            self.events.push_back(event);
        }
    }

    /// Removes the events of the session with one of these methods, without waiting.
    pub(super) fn take(&mut self, session: &str, methods: &[&str]) -> Vec<Value> {
        self.events.extend(self.from.try_iter());
        let is_wanted = |event: &Value| {
            event["sessionId"] == session
                && event["method"].as_str().is_some_and(|method| methods.contains(&method))
        };
        let (taken, left) = self.events.drain(..).partition::<Vec<_>, _>(is_wanted);
        self.events = left.into();
        taken
    }

    fn receive(&mut self, until: Instant) -> Result<Value, String> {
        let left = until.saturating_duration_since(Instant::now());
        self.from.recv_timeout(left).map_err(|_| "the browser does not answer".to_owned())
    }
}
