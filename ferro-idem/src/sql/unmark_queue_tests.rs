//! Which marks wait, and until when.

use futures_util::poll;

use super::*;

fn mark(id: &str, owner: u8) -> Mark {
    Mark { id: id.into(), event_type: "".into(), owner: Owner::from_bytes([owner; 16]) }
}

fn owner(byte: u8) -> Owner {
    Owner::from_bytes([byte; 16])
}

/// The marks that are due.
fn take(queue: &UnmarkQueue, max: usize) -> Vec<(Place, Mark)> {
    match queue.take(max) {
        Due::Marks(taken) => taken,
        Due::NotBefore(_) | Due::Never => Vec::new(),
    }
}

fn put_back(queue: &UnmarkQueue, taken: &[(Place, Mark)], unmarked: Unmarked) {
    queue.put_back(taken, unmarked, Instant::now());
}

#[tokio::test(start_paused = true)]
async fn one_worker_takes_marks_back_and_a_lost_one_is_replaced() {
    let queue = UnmarkQueue::default();
    assert!(!queue.needs_worker(), "there is nothing to do");
    (0..3).for_each(|number| queue.push(mark("evt_1", number), None));
    assert!(queue.needs_worker() && !queue.needs_worker());
    assert_eq!(take(&queue, 2).len(), 2);
    tokio::time::advance(MAX_INACTIVE).await;
    assert!(queue.needs_worker(), "the first one was not polled for long");
    queue.end_worker();
    assert!(queue.needs_worker(), "the second one was dropped");
    let (two, one) = (take(&queue, 2), take(&queue, 2));
    assert_eq!((two.len(), one.len()), (2, 1));
    put_back(&queue, &two, Unmarked::Since(Instant::now()));
    put_back(&queue, &one, Unmarked::Since(Instant::now()));
    assert!(matches!(queue.take(2), Due::Never) && !queue.needs_worker());
}

#[tokio::test(start_paused = true)]
async fn marks_that_are_not_due_keep_no_others_waiting() {
    let queue = UnmarkQueue::default();
    let soon = Instant::now() + Duration::from_secs(1);
    queue.push(mark("evt_1", 1), None);
    let locked = take(&queue, 1);
    queue.put_back(&locked, Unmarked::NotCarriedOut, soon);
    assert!(matches!(queue.take(1), Due::NotBefore(due) if due == soon));
    queue.push(mark("evt_2", 2), None);
    assert_eq!(&*take(&queue, 2)[0].1.id, "evt_2");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(&*take(&queue, 2)[0].1.id, "evt_1");
}

#[test]
fn the_marks_are_bounded() {
    let queue = UnmarkQueue::default();
    (1..MAX_MARKS).for_each(|_| queue.push(mark("evt_1", 1), None));
    assert!(queue.has_room());
    queue.push(mark("evt_1", 1), None);
    assert!(!queue.has_room());
}

#[tokio::test]
async fn a_delivery_takes_a_mark_over_that_waits() {
    let queue = UnmarkQueue::default();
    queue.push(mark("evt_1", 1), None);
    assert_eq!(queue.take_over("evt_2").await, None);
    assert_eq!(queue.take_over("evt_1").await, Some(owner(1)));
    assert_eq!(queue.take_over("evt_1").await, None, "it is the other's");
    assert!(take(&queue, 1).is_empty(), "nothing deletes it any more");
}

#[tokio::test]
async fn a_delivery_waits_while_the_mark_is_being_deleted() {
    let queue = UnmarkQueue::default();
    queue.push(mark("evt_1", 1), Some(Instant::now() + Duration::from_secs(7)));
    let taken = take(&queue, 1);
    let mut next = pin!(queue.take_over("evt_1"));
    assert!(poll!(&mut next).is_pending());
    put_back(&queue, &taken, Unmarked::Since(Instant::now()));
    assert_eq!(next.await, Some(owner(1)));
    queue.push(mark("evt_1", 2), None);
    let taken = take(&queue, 1);
    let mut next = pin!(queue.take_over("evt_1"));
    assert!(poll!(&mut next).is_pending());
    put_back(&queue, &taken, Unmarked::Since(Instant::now()));
    assert_eq!(next.await, None);
}

#[tokio::test]
async fn a_mark_that_may_be_deleted_later_is_not_taken_over() {
    for is_dropped in [false, true] {
        let queue = UnmarkQueue::default();
        queue.push(mark("evt_1", 1), Some(Instant::now() + Duration::from_secs(7)));
        let taken = take(&queue, 1);
        if is_dropped {
            queue.end_worker();
        } else {
            put_back(&queue, &taken, Unmarked::Unanswered);
        }
        let mut next = pin!(queue.take_over("evt_1"));
        assert!(poll!(&mut next).is_pending());
        // The earlier statement may still be at the server.
        let taken = take(&queue, 1);
        put_back(&queue, &taken, Unmarked::Since(Instant::now()));
        assert!(poll!(&mut next).is_pending());
        let taken = take(&queue, 1);
        put_back(&queue, &taken, Unmarked::NotCarriedOut);
        assert!(poll!(&mut next).is_pending());
        let taken = take(&queue, 1);
        let later = Instant::now() + Duration::from_secs(8);
        put_back(&queue, &taken, Unmarked::Since(later));
        assert_eq!(next.await, None);
    }
}

#[test]
fn a_delivery_that_may_have_made_a_mark_takes_no_other_one_over() {
    let queue = UnmarkQueue::default();
    queue.push(mark("evt_1", 1), None);
    assert_eq!(queue.next_of("evt_1", true), Next::Wait);
    assert_eq!(queue.next_of("evt_2", true), Next::GoOn);
    assert_eq!(queue.next_of("evt_1", false), Next::TakeOver(owner(1)));
    assert_eq!(queue.next_of("evt_1", true), Next::GoOn);
}

#[tokio::test]
async fn a_delivery_waits_until_one_mark_is_left() {
    let queue = UnmarkQueue::default();
    queue.push(mark("evt_1", 1), None);
    queue.push(mark("evt_1", 2), None);
    let mut next = pin!(queue.take_over("evt_1"));
    assert!(poll!(&mut next).is_pending());
    let taken = take(&queue, 1);
    put_back(&queue, &taken, Unmarked::Since(Instant::now()));
    assert_eq!(next.await, Some(owner(2)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stood_still_may_make_the_mark_after_its_deadline() {
    let queue = UnmarkQueue::default();
    queue.push(mark("evt_1", 1), Some(Instant::now() + Duration::from_secs(7)));
    tokio::time::advance(Duration::from_secs(13)).await;
    queue.server_stood_still();
    let unmarked_at_once = |queue: &UnmarkQueue| {
        let taken = take(queue, 1);
        put_back(queue, &taken, Unmarked::Since(Instant::now()));
        queue.is_empty()
    };
    assert!(!unmarked_at_once(&queue), "the statement that makes it may have been a moment from its commit");
    tokio::time::advance(AWAKE_FOR).await;
    assert!(unmarked_at_once(&queue));
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_is_made_is_gone_after_one_statement() {
    let queue = UnmarkQueue::default();
    queue.push(mark("evt_1", 1), None);
    queue.server_stood_still();
    let taken = take(&queue, 1);
    put_back(&queue, &taken, Unmarked::Since(Instant::now()));
    assert!(queue.is_empty());
}
