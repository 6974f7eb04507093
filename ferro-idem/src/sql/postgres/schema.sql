CREATE TABLE IF NOT EXISTS stripe_processed_events (
  event_id    TEXT COLLATE "C" PRIMARY KEY,
  event_type  TEXT NOT NULL,
  received_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  state       SMALLINT NOT NULL DEFAULT 1,
  owner       UUID,
  fencing_token BIGINT NOT NULL DEFAULT 0,
  lease_until TIMESTAMPTZ,
  updated_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
  reply_until TIMESTAMPTZ,
  reply       BYTEA
);
