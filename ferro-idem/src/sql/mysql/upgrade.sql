ALTER TABLE stripe_processed_events ADD COLUMN /*M! IF NOT EXISTS */ state TINYINT NOT NULL DEFAULT 1;
ALTER TABLE stripe_processed_events ADD COLUMN /*M! IF NOT EXISTS */ owner BINARY(16);
ALTER TABLE stripe_processed_events ADD COLUMN /*M! IF NOT EXISTS */ fencing_token BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stripe_processed_events ADD COLUMN /*M! IF NOT EXISTS */ lease_until DATETIME(6);
ALTER TABLE stripe_processed_events ADD COLUMN /*M! IF NOT EXISTS */ updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE stripe_processed_events ADD COLUMN /*M! IF NOT EXISTS */ reply_until DATETIME(6);
ALTER TABLE stripe_processed_events ADD COLUMN /*M! IF NOT EXISTS */ reply LONGBLOB;
