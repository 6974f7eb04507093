//! The cases. Each gets a fresh, empty log.

use std::collections::BTreeSet;
use std::time::Duration;

use ferro_idem::operations::{Change, Cursor, EventState, Filter, LoggedEvent, Operations};
use ferro_idem::{ClaimOutcome, EventRef, Owner, Ownership};

use super::stores::{Log, Store};

const LEASE: Duration = Duration::from_mins(10);

async fn claim<L: Log>(log: &L, id: &str, lease: Duration) -> Ownership {
    let owner = Owner::random().unwrap();
    let event = EventRef::new(id).unwrap().with_type("invoice.paid");
    let ClaimOutcome::Acquired { token } = log.claim(event, owner, lease).await.unwrap() else {
        panic!("{id} is not free")
    };
    Ownership { owner, token }
}

async fn mark<L: Log>(log: &L, id: &str) -> bool {
    log.try_mark_event(EventRef::new(id).unwrap().with_type("invoice.paid")).await.unwrap()
}

async fn look(operations: &dyn Operations, id: &str) -> LoggedEvent {
    operations.look(id).await.unwrap().unwrap_or_else(|| panic!("there is no {id}"))
}

/// All pages.
async fn all(operations: &dyn Operations, filter: &Filter, limit: usize) -> Vec<LoggedEvent> {
    let (mut events, mut after) = (Vec::new(), None);
    loop {
        let page = operations.list(filter, after.as_ref(), limit).await.unwrap();
        assert!(page.events.len() <= limit, "{} of {limit}", page.events.len());
        events.extend(page.events);
        match page.next {
            Some(next) => after = Some(next.to_string().parse::<Cursor>().unwrap()),
            None => return events,
        }
    }
}

async fn ids(operations: &dyn Operations, filter: &Filter) -> BTreeSet<String> {
    all(operations, filter, 3).await.into_iter().map(|event| event.id().to_owned()).collect()
}

pub(crate) async fn an_event_shows_its_state_token_and_lease<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    assert_eq!(operations.look("evt_1").await.unwrap(), None);
    let held = claim(log, "evt_1", LEASE).await;
    let claimed = look(&**operations, "evt_1").await;
    assert_eq!((claimed.state(), claimed.fencing_token()), (EventState::Claimed, 1));
    assert_eq!(claimed.owner(), Some(held.owner));
    let left = claimed.lease_left().unwrap();
    assert!(left > LEASE / 2 && left <= LEASE, "{left:?}");

    assert!(log.release("evt_1", held).await.unwrap());
    let released = look(&**operations, "evt_1").await;
    assert_eq!((released.state(), released.lease_left()), (EventState::Released, None));
    let held = claim(log, "evt_1", LEASE).await;
    assert!(log.complete("evt_1", held).await.unwrap());
    let processed = look(&**operations, "evt_1").await;
    assert_eq!((processed.state(), processed.fencing_token()), (EventState::Processed, 2));

    claim(log, "evt_2", Duration::ZERO).await;
    assert_eq!(look(&**operations, "evt_2").await.state(), EventState::LeaseEnded);
    assert!(operations.look("").await.is_err());
    assert!(operations.look("a\0b").await.is_err());
}

pub(crate) async fn a_released_event_is_claimed_under_a_higher_token<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    for (id, lease) in [("live", LEASE), ("ended", Duration::ZERO)] {
        let stuck = claim(log, id, lease).await;
        assert_eq!(operations.release(&look(&**operations, id).await).await.unwrap(), Change::Done);
        assert_eq!(look(&**operations, id).await.state(), EventState::Released);
        for is_changed in
            [log.renew(id, stuck, LEASE).await, log.complete(id, stuck).await, log.release(id, stuck).await]
        {
            assert!(!is_changed.unwrap(), "{id}: the old delivery still had its claim");
        }
        let next = claim(log, id, LEASE).await;
        assert_eq!(next.token, 2);
        assert!(log.complete(id, next).await.unwrap());
    }
}

pub(crate) async fn a_completed_event_is_a_duplicate<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    claim(log, "claimed", LEASE).await;
    let held = claim(log, "released", LEASE).await;
    log.release("released", held).await.unwrap();
    for id in ["claimed", "released"] {
        assert_eq!(operations.complete(&look(&**operations, id).await).await.unwrap(), Change::Done);
        let completed = look(&**operations, id).await;
        assert_eq!((completed.state(), completed.fencing_token()), (EventState::Processed, 1));
        let again = log.claim(EventRef::new(id).unwrap(), Owner::random().unwrap(), LEASE).await.unwrap();
        assert_eq!(again, ClaimOutcome::Processed);
        assert!(!mark(log, id).await);
    }
}

pub(crate) async fn a_forgotten_mark_runs_again<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    assert!(mark(log, "evt_1").await);
    assert!(!mark(log, "evt_1").await);
    assert_eq!(operations.forget(&look(&**operations, "evt_1").await).await.unwrap(), Change::Done);
    assert_eq!(operations.look("evt_1").await.unwrap(), None);
    assert!(mark(log, "evt_1").await);
}

pub(crate) async fn a_forgotten_claim_keeps_its_token<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    for token in 1..=3 {
        let held = claim(log, "evt_1", LEASE).await;
        assert_eq!(held.token, token, "a forgotten event's token fell or stood still");
        assert!(log.complete("evt_1", held).await.unwrap());
        assert_eq!(operations.forget(&look(&**operations, "evt_1").await).await.unwrap(), Change::Done);
        let forgotten = look(&**operations, "evt_1").await;
        assert_eq!((forgotten.state(), forgotten.fencing_token()), (EventState::Released, token));
        assert!(!log.complete("evt_1", held).await.unwrap(), "the old delivery had its claim back");
    }
}

pub(crate) async fn the_second_of_two_operators_comes_too_late<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    claim(log, "stuck", LEASE).await;
    let seen = look(&**operations, "stuck").await;
    assert_eq!(operations.release(&seen).await.unwrap(), Change::Done);
    for late in [operations.release(&seen).await.unwrap(), operations.complete(&seen).await.unwrap()] {
        let Change::TooLate(Some(now)) = late else { panic!("{late:?}") };
        assert_eq!((now.id(), now.state()), ("stuck", EventState::Released));
    }
    let released = look(&**operations, "stuck").await;
    assert_ne!(released.version(), seen.version());
    assert_eq!(operations.complete(&released).await.unwrap(), Change::Done);
    assert!(matches!(operations.complete(&released).await.unwrap(), Change::TooLate(Some(_))));

    mark(log, "lost").await;
    let seen = look(&**operations, "lost").await;
    assert_eq!(operations.forget(&seen).await.unwrap(), Change::Done);
    assert_eq!(operations.forget(&seen).await.unwrap(), Change::TooLate(None));
}

pub(crate) async fn a_delivery_in_between_makes_a_change_too_late<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    claim(log, "evt_1", Duration::ZERO).await;
    let seen = look(&**operations, "evt_1").await;
    let next = claim(log, "evt_1", LEASE).await;
    let late = operations.release(&seen).await.unwrap();
    let Change::TooLate(Some(now)) = late else { panic!("{late:?}") };
    assert_eq!((now.state(), now.fencing_token()), (EventState::Claimed, 2));
    // The delivery renews its lease: that is the same claim.
    let seen = look(&**operations, "evt_1").await;
    assert!(log.renew("evt_1", next, LEASE * 2).await.unwrap());
    assert_eq!(operations.release(&seen).await.unwrap(), Change::Done);

    let held = claim(log, "evt_2", LEASE).await;
    let seen = look(&**operations, "evt_2").await;
    assert!(log.complete("evt_2", held).await.unwrap());
    assert!(matches!(operations.release(&seen).await.unwrap(), Change::TooLate(Some(_))));
    assert_eq!(look(&**operations, "evt_2").await.state(), EventState::Processed);
}

pub(crate) async fn changes_that_do_not_apply_say_what_does<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    mark(log, "processed").await;
    claim(log, "claimed", LEASE).await;
    let held = claim(log, "released", LEASE).await;
    log.release("released", held).await.unwrap();
    let before = all(&**operations, &Filter::new(), 10).await.len();
    let processed = look(&**operations, "processed").await;
    let claimed = look(&**operations, "claimed").await;
    let released = look(&**operations, "released").await;
    for refused in [
        operations.release(&processed).await,
        operations.complete(&processed).await,
        operations.forget(&claimed).await,
        operations.forget(&released).await,
        operations.release(&released).await,
    ] {
        let refused = refused.unwrap();
        assert!(matches!(refused, Change::NotPossible(why) if why.ends_with('.')), "{refused:?}");
    }
    assert_eq!(all(&**operations, &Filter::new(), 10).await.len(), before);
}

pub(crate) async fn a_list_goes_on_while_events_come_and_go<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    let stays: BTreeSet<String> = (0..40).map(|number| format!("evt_{number:03}")).collect();
    for id in &stays {
        mark(log, id).await;
        mark(log, &format!("{id}_goes")).await;
    }
    let (mut seen, mut after, mut round) = (Vec::new(), None, 0);
    loop {
        let page = operations.list(&Filter::new(), after.as_ref(), 7).await.unwrap();
        assert!(page.events.len() <= 7);
        seen.extend(page.events.iter().map(|event| event.id().to_owned()));
        mark(log, &format!("evt_{round:03}_new")).await;
        if let Some(going) = operations.look(&format!("evt_{round:03}_goes")).await.unwrap() {
            operations.forget(&going).await.unwrap();
        }
        round += 1;
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    for id in &stays {
        assert!(seen.contains(id), "{id} was not listed");
    }
}

pub(crate) async fn filters_narrow_a_list<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    mark(log, "processed").await;
    claim(log, "claimed", LEASE).await;
    claim(log, "ended", Duration::ZERO).await;
    for round in 1..=5 {
        let held = claim(log, "poison", LEASE).await;
        assert_eq!(held.token, round);
        log.release("poison", held).await.unwrap();
    }
    for (state, id) in [
        (EventState::Processed, "processed"),
        (EventState::Claimed, "claimed"),
        (EventState::LeaseEnded, "ended"),
        (EventState::Released, "poison"),
    ] {
        let found = ids(&**operations, &Filter::new().with_state(state)).await;
        assert_eq!(found, BTreeSet::from([id.to_owned()]), "{state}");
    }
    assert_eq!(ids(&**operations, &Filter::new().with_min_token(5)).await, BTreeSet::from(["poison".into()]));
    assert!(ids(&**operations, &Filter::new().with_min_token(u64::MAX)).await.is_empty());
    assert!(ids(&**operations, &Filter::new().with_type("invoice.PAID' OR 1=1")).await.is_empty());
    let lacks = operations.lacks().await.unwrap();
    if !lacks.contains(&ferro_idem::operations::Lack::Types) {
        assert_eq!(ids(&**operations, &Filter::new().with_type("invoice.paid")).await.len(), 4);
        assert!(ids(&**operations, &Filter::new().with_type("Invoice.paid")).await.is_empty());
    }
}

pub(crate) async fn counts_add_up_over_all_events<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    assert_eq!(operations.counts().await.unwrap().total(), 0);
    for number in 0..25 {
        mark(log, &format!("evt_{number}")).await;
    }
    claim(log, "claimed", LEASE).await;
    claim(log, "ended", Duration::ZERO).await;
    let counts = operations.counts().await.unwrap();
    let of = |state| counts.of(state).events;
    assert_eq!((of(EventState::Processed), of(EventState::Released)), (25, 0));
    assert_eq!((of(EventState::Claimed), of(EventState::LeaseEnded)), (1, 1));
    let oldest = counts.of(EventState::Processed).oldest.expect("times are kept");
    assert!(oldest.elapsed().unwrap_or_default() < Duration::from_mins(5));
}

pub(crate) async fn ids_come_back_byte_for_byte<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    let long = "x".repeat(255);
    let odd = [
        "<script>alert(1)</script>",
        "'; DROP TABLE stripe_processed_events; --",
        "\"a\"\n\r\tb",
        "\u{1b}[31mred\u{7}",
        "evt_a",
        "EVT_A",
        "evt_a ",
        "é",
        "e\u{301}",
        "a\\b%_?$1{}[]*^",
        "\u{202e}gpj.exe",
        "🦀",
        &long,
    ];
    for id in odd {
        assert!(mark(log, id).await, "{id:?}");
    }
    for id in odd {
        assert_eq!(look(&**operations, id).await.id(), id);
    }
    assert_eq!(ids(&**operations, &Filter::new()).await, odd.map(str::to_owned).into());
    for id in odd {
        assert_eq!(operations.forget(&look(&**operations, id).await).await.unwrap(), Change::Done);
        assert_eq!(operations.look(id).await.unwrap(), None);
    }
    assert_eq!(operations.counts().await.unwrap().total(), 0);
}

pub(crate) async fn an_age_filter_knows_young_from_old<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    mark(log, "evt_1").await;
    let hour = Duration::from_hours(1);
    assert!(ids(&**operations, &Filter::new().with_min_age(hour)).await.is_empty());
    assert_eq!(ids(&**operations, &Filter::new().with_max_age(hour)).await.len(), 1);
    assert_eq!(ids(&**operations, &Filter::new().with_min_age(Duration::ZERO)).await.len(), 1);
    assert!(ids(&**operations, &Filter::new().with_min_age(Duration::MAX)).await.is_empty());
    assert_eq!(ids(&**operations, &Filter::new().with_max_age(Duration::MAX)).await.len(), 1);
}

pub(crate) async fn a_purge_reports_progress_and_spares_claims<L: Log>(store: Store<L>) {
    let Store { log, operations, .. } = &store;
    for number in 0..20 {
        mark(log, &format!("evt_{number}")).await;
    }
    claim(log, "live", LEASE).await;
    let (mut read, mut deleted) = (0, 0);
    let purged = operations
        .purge(Duration::from_hours(1), &mut |page| {
            read += page.read;
            deleted += page.deleted;
        })
        .await
        .unwrap();
    assert_eq!((purged, deleted), (0, 0));
    assert!(read >= 20, "{read}");
    assert_eq!(operations.counts().await.unwrap().total(), 21);
}

pub(crate) async fn a_cursor_of_another_store_is_refused<L: Log>(store: Store<L>) {
    let Store { operations, .. } = &store;
    for cursor in ["zzz", "k", "kxx", "s", "sx", "s1.zz", "s99999999999999999999999"] {
        let cursor = cursor.parse::<Cursor>().unwrap();
        let refused = operations.list(&Filter::new(), Some(&cursor), 10).await.unwrap_err();
        assert!(refused.to_string().contains("begin the list again"), "{refused}");
        assert!(operations.count_page(Some(&cursor)).await.is_err());
    }
}
