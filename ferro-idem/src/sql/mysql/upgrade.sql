ALTER TABLE stripe_processed_events ADD COLUMN state TINYINT NOT NULL DEFAULT 1;
ALTER TABLE stripe_processed_events ADD COLUMN owner BINARY(16);
ALTER TABLE stripe_processed_events ADD COLUMN fencing_token BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stripe_processed_events ADD COLUMN lease_until DATETIME(6);
ALTER TABLE stripe_processed_events ADD COLUMN updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP;
