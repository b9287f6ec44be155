-- The table as it was:
--   CREATE TABLE api_usage (
--     id bigserial PRIMARY KEY,
--     customer bigint NOT NULL,
--     tokens integer NOT NULL,
--     model text,
--     at timestamptz NOT NULL DEFAULT now()
--   );
-- Its rows stay, and so does `id`, which the server goes on filling in. In one transaction, so that
-- nobody sees half of it; on PostgreSQL 13 and later only `uuid` makes it write every row anew.
BEGIN;
ALTER TABLE api_usage RENAME COLUMN customer TO user_id;
ALTER TABLE api_usage RENAME COLUMN tokens TO prompt_tokens;
ALTER TABLE api_usage RENAME COLUMN at TO created_at;
ALTER TABLE api_usage
  ADD COLUMN uuid uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
  ADD COLUMN api_key_id bigint,
  ADD COLUMN service_id bigint,
  ADD COLUMN completion_tokens integer NOT NULL DEFAULT 0,
  ADD COLUMN direction text NOT NULL DEFAULT 'consume',
  ADD COLUMN memo text,
  ADD COLUMN attributes jsonb,
  ADD COLUMN corrects uuid,
  ADD COLUMN written_at timestamptz NOT NULL DEFAULT now();
COMMIT;
