//! `purge`.

use serde_json::json;

use super::args::{Output, Purge};
use super::ask::confirm;
use super::exit::{Exit, Failure};
use super::progress::Progress;
use super::table::print_json;
use crate::error::Error;
use crate::operations::PurgePage;
use crate::operations::text::duration;

/// Purges after a confirmation. `count` counts what there is, and `purge` deletes what is older than the arguments say.
pub(super) async fn purge(
    args: &Purge,
    output: Output,
    count: impl AsyncFnOnce() -> Result<u64, Error>,
    purge: impl AsyncFnOnce(&mut (dyn for<'p> FnMut(&'p PurgePage) + Send)) -> Result<u64, Error>,
) -> Result<Exit, Failure> {
    let all = if args.yes { None } else { Some(count().await?) };
    let age = duration(args.older_than);
    let of = all.unwrap_or(0);
    confirm(
        &format!("Delete the events older than {age}, of {of}? They run again if they come back."),
        args.yes,
    )?;
    let progress = Progress::new(all, "read", "deleted");
    let (mut deleted, mut read, mut replies) = (0_u64, 0_u64, 0_u64);
    let purged = purge(&mut |page| {
        deleted += page.deleted;
        read += page.read;
        replies += page.replies;
        // A part is counted as if it were full.
        progress.show(read, deleted);
    })
    .await;
    progress.end();
    match purged {
        Ok(purged) if output.json => print_json(&json!({ "deleted": purged, "replies": replies }))?,
        Ok(purged) if replies > 0 => {
            super::say(&format!("Events deleted: {purged}, expired replies of other events: {replies}\n"));
        }
        Ok(purged) => super::say(&format!("Events deleted: {purged}\n")),
        Err(error) => {
            super::say(&format!("Events deleted before the error: {deleted}\n"));
            return Err(error.into());
        }
    }
    Ok(Exit::Done)
}
