//! A killed server keeps the marks that the table in the documentation of `RedisLog` names.

use ferro_idem::{ProcessedEventLog, RedisLog};
use ferro_idem_tests::servers::Redis;

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn only_an_append_only_file_keeps_marks_over_a_restart() {
    for (append_only, is_first_again) in [("no", true), ("yes", false)] {
        let server = Redis::start_with(&["--appendonly", append_only]).await;
        let log = RedisLog::new(server.connection().await);
        assert!(log.try_mark_processed("evt_1").await.unwrap());
        server.server().kill();
        server.start_again().await;
        let is_first = log.try_mark_processed("evt_1").await.unwrap();
        assert_eq!(is_first, is_first_again, "appendonly {append_only}");
    }
}
