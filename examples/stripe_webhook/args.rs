//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
usage: stripe_webhook [--database FILE] [--inbox | --listen ADDRESS]

  --database FILE     keep the events and the payments in FILE [stripe_webhook.db]
  --inbox             store events and answer 202; senders try once, workers run the handler and are killed
  --listen ADDRESS    serve the real Stripe until Ctrl-C, with the secret from STRIPE_WEBHOOK_SECRET:
                        stripe listen --forward-to localhost:4242/webhook
                        STRIPE_WEBHOOK_SECRET=whsec_... cargo run --example stripe_webhook -- --listen 127.0.0.1:4242
  --help              print this

Without --listen it plays Stripe against itself. The exit code is 0 if every event took effect exactly once.";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) database: PathBuf,
    pub(crate) mode: Mode,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Storm,
    Inbox,
    Listen(String),
    Help,
}

impl Args {
    /// The arguments, or which of them is wrong.
    pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut args = args.into_iter();
        let mut parsed = Self { database: "stripe_webhook.db".into(), mode: Mode::Storm };
        while let Some(arg) = args.next() {
            let mut value = |what| {
                let value = args.next().filter(|value| !value.is_empty());
                value.ok_or_else(|| format!("{} needs {what}", arg.display()))
            };
            match arg.to_str() {
                Some("--database") => parsed.database = value("a file")?.into(),
                Some("--listen") => {
                    let address = value("an address, like 127.0.0.1:4242")?;
                    parsed.mode = Mode::Listen(address.to_string_lossy().into_owned());
                }
                Some("--inbox") => parsed.mode = Mode::Inbox,
                Some("--help" | "-h") => return Ok(Self { mode: Mode::Help, ..parsed }),
                _ => return Err(format!("unknown argument `{}`", arg.display())),
            }
        }
        Ok(parsed)
    }
}
