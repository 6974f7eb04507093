//! Handlers under the fence.

use std::cell::Cell;
use std::rc::Rc;

use ferro_idem::testing::{HandlerTest, Problem, check};
use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
use tokio::task::yield_now;

use super::{findings, report};

#[derive(Default)]
struct World {
    log: MemoryProcessedLog,
    shipped: Rc<Cell<usize>>,
}

impl World {
    async fn ship(&self) {
        yield_now().await;
        self.shipped.set(self.shipped.get() + 1);
        yield_now().await;
    }
}

#[idempotent_webhook(log = world.log)]
async fn ships(world: &World, event: &str) -> Result<(), Error> {
    world.ship().await;
    Ok(())
}

/// A handler, and what to deliver to it.
macro_rules! tested {
    ($name:ident, $world:ident => $deliver:expr) => {
        struct $name(World);

        impl HandlerTest for $name {
            async fn new() -> Self {
                Self(World::default())
            }

            async fn deliver(&self) -> bool {
                let $world = &self.0;
                $deliver.await.is_ok()
            }

            async fn effects(&self) -> usize {
                self.0.shipped.get()
            }
        }
    };
}

tested!(Right, world => ships(world, "evt_1"));

#[test]
fn a_right_handler_passes_every_case() {
    let report = check::<Right>();
    report.assert_passed();
    assert!(report.cases() > 10, "{}", report.cases());
}

/// The effect before the check.
async fn too_early(world: &World) -> Result<(), Error> {
    world.ship().await;
    ships_nothing(world, "evt_1").await
}

#[idempotent_webhook(log = world.log)]
async fn ships_nothing(world: &World, event: &str) -> Result<(), Error> {
    Ok(())
}

tested!(TooEarly, world => too_early(world));

#[test]
fn an_effect_before_the_check_is_found() {
    let findings = findings::<TooEarly>();
    assert!(findings.contains(&("twice".to_owned(), Problem::Doubled(2))), "{findings:?}");
}

async fn unfenced(world: &World) -> Result<(), Error> {
    world.ship().await;
    Ok(())
}

tested!(Unfenced, world => unfenced(world));

#[test]
fn a_handler_without_the_attribute_is_found() {
    assert_eq!(findings::<Unfenced>(), [("once".to_owned(), Problem::NoLog)]);
}

tested!(Idle, world => ships_nothing(world, "evt_1"));

#[test]
fn a_handler_without_an_effect_is_found() {
    assert_eq!(findings::<Idle>(), [("once".to_owned(), Problem::Lost)]);
}

tested!(AnotherEvent, world => async {
    let nth = world.shipped.get().to_string();
    ships(world, &nth).await
});

#[test]
fn an_id_that_changes_with_each_delivery_is_found() {
    let report = report::<AnotherEvent>();
    assert!(report.contains("[twice] The event was delivered twice"), "{report}");
    assert!(report.contains("The effect is DOUBLED: it happened 2 times."), "{report}");
    assert!(report.contains("FERRO_IDEM_CASE=twice cargo test"), "{report}");
}

tested!(Refuses, world => async {
    ships(world, "evt_1").await?;
    Err::<(), Error>(Error::lease_lost("evt_1"))
});

#[test]
fn a_handler_that_never_succeeds_is_found() {
    assert_eq!(findings::<Refuses>(), [("once".to_owned(), Problem::NeverAccepted)]);
}

#[tokio::test]
async fn the_kit_works_within_a_runtime() {
    check::<Right>().assert_passed();
}
