ALTER TABLE stripe_processed_events ADD COLUMN state INTEGER NOT NULL DEFAULT 1;
ALTER TABLE stripe_processed_events ADD COLUMN owner BLOB;
ALTER TABLE stripe_processed_events ADD COLUMN fencing_token INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stripe_processed_events ADD COLUMN lease_until INTEGER;
ALTER TABLE stripe_processed_events ADD COLUMN updated_at TEXT;
ALTER TABLE stripe_processed_events ADD COLUMN reply_until INTEGER;
ALTER TABLE stripe_processed_events ADD COLUMN reply BLOB;
