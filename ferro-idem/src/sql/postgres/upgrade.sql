ALTER TABLE stripe_processed_events ADD COLUMN state SMALLINT NOT NULL DEFAULT 1;
ALTER TABLE stripe_processed_events ADD COLUMN owner UUID;
ALTER TABLE stripe_processed_events ADD COLUMN fencing_token BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stripe_processed_events ADD COLUMN lease_until TIMESTAMPTZ;
ALTER TABLE stripe_processed_events ADD COLUMN updated_at TIMESTAMPTZ NOT NULL DEFAULT now();
