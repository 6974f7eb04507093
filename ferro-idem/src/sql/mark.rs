//! Marks: the fence.

use async_trait::async_trait;

use super::dialect::{Columns, Dialect, Mark};
use super::group::{Told, Unheard, share};
use super::line::{Line, Unanswered};
use super::question::Marks;
use super::{SqlLog, Statements};
use crate::error::Error;
use crate::event::EventRef;
use crate::log::ProcessedEventLog;
use crate::owner::Owner;
use crate::retry::Attempts;
use crate::see_through::SeeThrough;

impl<D: Dialect> SqlLog<D> {
    async fn mark(&self, event: EventRef<'_>) -> Result<bool, Error> {
        let mark = Mark::new(event, Owner::random()?);
        let mut again = false;
        if self.shares && self.statements().await?.columns == Columns::Full {
            match share(Line::of_many(self), mark.clone()).await {
                Told::Answer(unheard) => return Ok(unheard.into_is_first()),
                Told::Failed(error) => return Err(error),
                Told::Alone { again: may_be_there } => again = may_be_there,
            }
        }
        let log = self.clone();
        let marking = async move {
            let statements = log.statements().await?;
            let marked = log.mark_alone(statements, mark, Attempts::after(again)).await;
            marked.map_err(Unanswered::into_error)
        };
        SeeThrough::new(marking).await.map(Unheard::into_is_first)
    }

    /// In a statement of its own.
    pub(super) async fn mark_alone(
        &self,
        statements: &Statements<D>,
        mark: Mark,
        attempts: Attempts,
    ) -> Result<Unheard<D>, Unanswered> {
        match Line::of_one(self).ask_after(attempts, statements, &Marks(&[&mark])).await {
            Ok(are_first) if are_first.contains(&true) => Ok(Unheard::first(self, mark)),
            Ok(_) => Ok(Unheard::duplicate()),
            Err(unanswered) => {
                Unheard::given_up(self, mark, &unanswered);
                Err(unanswered)
            }
        }
    }
}

#[async_trait]
impl<D: Dialect> ProcessedEventLog for SqlLog<D> {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        self.mark(EventRef::new(event_id)?).await
    }

    async fn try_mark_event(&self, event: EventRef<'_>) -> Result<bool, Error> {
        self.mark(event).await
    }
}
