//! `purge`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::args::{Output, Purge};
use super::ask::confirm;
use super::exit::{Exit, Failure};
use super::table::print_json;
use crate::operations::Operations;
use crate::operations::text::duration;

pub(super) async fn purge(
    operations: &dyn Operations,
    purge: &Purge,
    output: Output,
) -> Result<Exit, Failure> {
    let all = if purge.yes { None } else { Some(operations.counts().await?.total()) };
    let age = duration(purge.older_than);
    confirm(
        &format!(
            "Delete the events older than {age}, of {}? They run again if they come back.",
            all.unwrap_or(0)
        ),
        purge.yes,
    )?;
    let bar = match all {
        Some(all) => ProgressBar::new(all),
        None => ProgressBar::new_spinner(),
    };
    let style = if all.is_some() {
        "{bar:30} {pos}/{len} read, {msg} deleted, {eta} left"
    } else {
        "{spinner} {pos} read, {msg} deleted"
    };
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let (mut deleted, mut read) = (0_u64, 0_u64);
    let purged = operations
        .purge(purge.older_than, &mut |page| {
            deleted += page.deleted;
            read += page.read;
            // A part is counted as if it were full.
            bar.set_position(all.map_or(read, |all| read.min(all)));
            bar.set_message(deleted.to_string());
        })
        .await;
    bar.finish_and_clear();
    match purged {
        Ok(purged) if output.json => print_json(&json!({ "deleted": purged }))?,
        Ok(purged) => super::say(&format!("Events deleted: {purged}\n")),
        Err(error) => {
            super::say(&format!("Events deleted before the error: {deleted}\n"));
            return Err(error.into());
        }
    }
    Ok(Exit::Done)
}
