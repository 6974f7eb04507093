CREATE TABLE IF NOT EXISTS stripe_processed_events (
  event_id    TEXT NOT NULL PRIMARY KEY,
  event_type  TEXT NOT NULL,
  received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  state       INTEGER NOT NULL DEFAULT 1,
  owner       BLOB,
  fencing_token INTEGER NOT NULL DEFAULT 0,
  lease_until INTEGER,
  updated_at  TEXT,
  reply_until INTEGER,
  reply       BLOB
) STRICT, WITHOUT ROWID;
