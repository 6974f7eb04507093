use super::*;

impl<F> Queue<F> {
    pub(crate) fn has_leader(&self) -> bool {
        !matches!(self.leader, Leader::Nowhere)
    }
}

const LONG: Duration = Duration::from_secs(1);

fn done() -> LeaderFuture {
    Box::pin(async {})
}

fn sleeping() -> Arc<LeaderWake> {
    LeaderWake::new(Waker::noop())
}

/// Its leader is polled by a task.
fn led(followers: std::ops::Range<u8>) -> Queue<u8> {
    let mut queue = Queue::new();
    for follower in followers {
        let joined = queue.join(follower);
        if queue.needs_leader() {
            assert!(matches!(joined, Joined::Leads | Joined::LeadsAlone), "it has to see to a leader");
            queue.appoint(done(), Driver::Task, Instant::now());
        } else {
            assert_eq!(joined, Joined::Waits);
        }
    }
    queue
}

#[test]
fn a_queue_is_busy_until_batches_were_single_for_a_while() {
    let mut queue = led(0..2);
    assert!(!queue.is_busy());
    assert_eq!(queue.take(9).len(), 2);
    for _ in 0..MAX_SINGLES {
        assert!(queue.is_busy());
        let _ = queue.join(9);
        assert_eq!(queue.take(9), [9]);
    }
    assert!(!queue.is_busy());
}

#[test]
fn a_batch_holds_the_oldest_callers_in_order() {
    let mut queue = led(0..5);
    assert_eq!(queue.take(2), [0, 1]);
    assert_eq!(queue.take(10), [2, 3, 4]);
    assert!(queue.take(10).is_empty());
}

#[test]
fn followers_that_are_put_back_go_first_in_order() {
    let mut queue = led(0..3);
    let batch = queue.take(3);
    assert_eq!(queue.join(3), Joined::Waits);
    queue.put_back(batch.into_iter().skip(1).collect());
    assert_eq!(queue.take(10), [1, 2, 3]);
}

#[test]
fn a_leader_cannot_resign_while_a_caller_waits() {
    let mut queue = led(0..2);
    assert!(!queue.resign());
    assert_eq!(queue.join(2), Joined::Waits, "it still leads");
    drop(queue.take(10));
    assert!(queue.resign() && !queue.has_leader());
    assert_eq!(queue.join(3), Joined::Leads, "nobody leads, and others were active lately");
}

#[test]
fn after_a_leader_is_gone_a_caller_has_to_lead() {
    let mut queue = led(0..3);
    assert!(!queue.needs_leader());
    queue.abdicate();
    assert!(queue.needs_leader());
    assert_eq!(queue.take(9), [0, 1, 2]);
    assert!(!queue.needs_leader(), "nobody waits");
}

fn led_by_its_caller() -> (Queue<u8>, Turn) {
    let mut queue = Queue::new();
    assert_eq!(queue.join(0), Joined::LeadsAlone);
    let turn = queue.appoint(done(), Driver::Caller, Instant::now());
    (queue, turn)
}

#[test]
fn a_former_lone_caller_does_not_touch_the_next_leader() {
    let (mut queue, first) = led_by_its_caller();
    drop(queue.take(1));
    assert!(queue.resign());
    assert_eq!(queue.join(1), Joined::LeadsAlone);
    let second = queue.appoint(done(), Driver::Caller, Instant::now());
    assert!(queue.take_up(first).is_none() && queue.leave(first).is_none());
    assert!(queue.take_up(second).is_some());
}

#[test]
fn a_lone_leader_stays_with_its_caller_until_that_goes() {
    let (mut queue, turn) = led_by_its_caller();
    let leader = queue.take_up(turn).unwrap();
    assert!(queue.take_up(turn).is_none(), "there is one");
    assert!(queue.rest(leader, sleeping(), Instant::now()).is_none());
    let in_task = queue.leave(turn).unwrap();
    assert!(queue.take_up(turn).is_none());
    assert_eq!(queue.join(1), Joined::Waits);
    assert!(queue.take_up(in_task).is_some());
}

#[test]
fn joining_a_leader_at_rest_moves_it_into_a_task() {
    let (mut queue, turn) = led_by_its_caller();
    let Joined::Moves(in_task) = queue.join(1) else { panic!("it stays") };
    assert_eq!(queue.join(2), Joined::Waits);
    assert!(queue.take_up(turn).is_none() && queue.leave(turn).is_none());
    assert!(queue.take_up(in_task).is_some());
}

#[test]
fn a_leader_that_others_joined_moves_into_a_task() {
    let (mut queue, turn) = led_by_its_caller();
    let leader = queue.take_up(turn).unwrap();
    assert_eq!(queue.join(1), Joined::Waits);
    let in_task = queue.rest(leader, sleeping(), Instant::now()).unwrap();
    assert!(queue.take_up(turn).is_none() && queue.leave(turn).is_none());
    assert!(queue.take_up(in_task).is_some());
}

#[test]
fn a_leader_is_stuck_if_it_is_woken_and_not_polled() {
    let mut queue = led(0..1);
    let turn = queue.turn;
    let polled_at = Instant::now();
    let leader = queue.take_up(turn).unwrap();
    assert!(queue.take_stuck(polled_at + LONG, LONG, None).is_none(), "it is being polled");
    let wake = sleeping();
    assert!(queue.rest(leader, Arc::clone(&wake), polled_at).is_none());
    assert!(queue.take_stuck(polled_at + LONG, LONG, None).is_none(), "it waits for the database");
    Waker::from(wake).wake_by_ref();
    assert!(queue.take_stuck(polled_at + LONG / 2, LONG, None).is_none(), "it was woken just now");
    assert!(queue.take_stuck(polled_at + LONG, LONG, None).is_some());
    assert!(queue.take_stuck(polled_at + LONG, LONG, None).is_none(), "it is taken once");
}

#[test]
fn a_leader_is_stuck_if_it_rests_for_longer_than_any_statement() {
    let mut queue = led(0..1);
    let turn = queue.turn;
    let polled_at = Instant::now();
    let leader = queue.take_up(turn).unwrap();
    assert!(queue.rest(leader, sleeping(), polled_at).is_none());
    assert!(queue.take_stuck(polled_at + LONG, LONG, Some(LONG * 2)).is_none());
    assert!(queue.take_stuck(polled_at + LONG * 2, LONG, Some(LONG * 2)).is_some());
}
