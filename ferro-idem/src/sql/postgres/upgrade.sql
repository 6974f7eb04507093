ALTER TABLE stripe_processed_events ADD COLUMN IF NOT EXISTS state SMALLINT NOT NULL DEFAULT 1;
ALTER TABLE stripe_processed_events ADD COLUMN IF NOT EXISTS owner UUID;
ALTER TABLE stripe_processed_events ADD COLUMN IF NOT EXISTS fencing_token BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stripe_processed_events ADD COLUMN IF NOT EXISTS lease_until TIMESTAMPTZ;
ALTER TABLE stripe_processed_events ADD COLUMN IF NOT EXISTS updated_at TIMESTAMPTZ NOT NULL DEFAULT now();
ALTER TABLE stripe_processed_events ADD COLUMN IF NOT EXISTS reply_until TIMESTAMPTZ;
ALTER TABLE stripe_processed_events ADD COLUMN IF NOT EXISTS reply BYTEA;
