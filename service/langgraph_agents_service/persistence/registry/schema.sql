-- The service's own tables, beside LangGraph's checkpoint tables. Every statement may run again.
CREATE TABLE IF NOT EXISTS agent_threads (
  thread_id uuid PRIMARY KEY,
  owner text NOT NULL,
  status text NOT NULL DEFAULT 'idle',
  metadata jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS agent_threads_of_owner ON agent_threads (owner, updated_at);
-- Where a project's own authorization says whose is whose, all threads have one owner and are told apart by metadata.
CREATE INDEX IF NOT EXISTS agent_threads_by_metadata ON agent_threads USING gin (metadata jsonb_path_ops)
  WHERE owner = '';
-- How long a thread stays after its last change, and what becomes of it then (`delete` or `keep_latest`). NULL: as
-- langgraph.json's checkpointer.ttl says.
ALTER TABLE agent_threads ADD COLUMN IF NOT EXISTS ttl_minutes double precision;
ALTER TABLE agent_threads ADD COLUMN IF NOT EXISTS ttl_strategy text;
-- When its older checkpoints were last removed (`keep_latest`).
ALTER TABLE agent_threads ADD COLUMN IF NOT EXISTS swept_at timestamptz;
CREATE INDEX IF NOT EXISTS agent_threads_unswept ON agent_threads (updated_at)
  WHERE swept_at IS NULL OR swept_at < updated_at;
-- Of its assistants and runs; how its last run failed; when its state last changed (NULL: with the thread).
ALTER TABLE agent_threads ADD COLUMN IF NOT EXISTS config jsonb NOT NULL DEFAULT '{}';
ALTER TABLE agent_threads ADD COLUMN IF NOT EXISTS error text;
ALTER TABLE agent_threads ADD COLUMN IF NOT EXISTS state_updated_at timestamptz;
CREATE INDEX IF NOT EXISTS agent_threads_of_age ON agent_threads (updated_at);

CREATE TABLE IF NOT EXISTS agent_workers (
  worker_id uuid PRIMARY KEY,
  beat_at timestamptz NOT NULL DEFAULT now()
);
-- Runs that the process executes, with those that no other table knows.
ALTER TABLE agent_workers ADD COLUMN IF NOT EXISTS executing int NOT NULL DEFAULT 0;

-- Who changes what alone, for how long. Nothing is lost with it: without the write-ahead log it costs no flush.
CREATE UNLOGGED TABLE IF NOT EXISTS agent_locks (
  name text PRIMARY KEY,
  holder uuid NOT NULL,
  until timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS agent_runs (
  run_id uuid PRIMARY KEY,
  thread_id uuid NOT NULL REFERENCES agent_threads ON DELETE CASCADE,
  assistant_id text NOT NULL,
  graph_id text NOT NULL,
  status text NOT NULL,
  worker_id uuid,
  attempt int NOT NULL,
  deaths int NOT NULL DEFAULT 0,
  payload text NOT NULL,
  metadata text NOT NULL,
  multitask_strategy text NOT NULL,
  error text,
  cancelled boolean NOT NULL DEFAULT false,
  record_events boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Whether a run is to be undone: by whoever executes it, or takes it up from a process that died.
ALTER TABLE agent_runs ADD COLUMN IF NOT EXISTS rollback boolean NOT NULL DEFAULT false;
-- Whether what a run brings, an answer, has been taken in: whoever takes the run up does not give it again.
ALTER TABLE agent_runs ADD COLUMN IF NOT EXISTS answered boolean NOT NULL DEFAULT false;
-- One run at a time on a thread, on however many processes.
CREATE UNIQUE INDEX IF NOT EXISTS agent_runs_one_running ON agent_runs (thread_id) WHERE status = 'running';
CREATE INDEX IF NOT EXISTS agent_runs_pending ON agent_runs (created_at) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS agent_runs_of_worker ON agent_runs (worker_id) WHERE status = 'running';
CREATE INDEX IF NOT EXISTS agent_runs_of_thread ON agent_runs (thread_id, created_at);

CREATE TABLE IF NOT EXISTS agent_events (
  run_id uuid NOT NULL REFERENCES agent_runs ON DELETE CASCADE,
  seq bigint NOT NULL,
  event text NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (run_id, seq)
);

-- Assistants that callers made; each graph has one of its own besides, which is not kept here.
CREATE TABLE IF NOT EXISTS agent_assistants (
  assistant_id uuid PRIMARY KEY,
  owner text NOT NULL,
  graph_id text NOT NULL,
  name text NOT NULL,
  description text,
  config jsonb NOT NULL,
  context jsonb NOT NULL,
  metadata jsonb NOT NULL,
  version int NOT NULL DEFAULT 1,
  newest int NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS agent_assistants_of_owner ON agent_assistants (owner, created_at);

CREATE TABLE IF NOT EXISTS agent_assistant_versions (
  assistant_id uuid NOT NULL REFERENCES agent_assistants ON DELETE CASCADE,
  version int NOT NULL,
  graph_id text NOT NULL,
  name text NOT NULL,
  description text,
  config jsonb NOT NULL,
  context jsonb NOT NULL,
  metadata jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (assistant_id, version)
);

-- Whom to tell how a run ended, and what besides; a trigger moves it on in the transaction that ends the run.
ALTER TABLE agent_runs ADD COLUMN IF NOT EXISTS webhook text;
ALTER TABLE agent_runs ADD COLUMN IF NOT EXISTS result text;
CREATE TABLE IF NOT EXISTS agent_webhooks (
  identifier uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  url text NOT NULL,
  run text NOT NULL,
  tries int NOT NULL DEFAULT 0,
  next_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS agent_webhooks_due ON agent_webhooks (next_at);
CREATE OR REPLACE FUNCTION agent_tell_of_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO agent_webhooks (url, run) VALUES (NEW.webhook, row_to_json(NEW)::text);
  NEW.result := NULL;
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER agent_runs_told BEFORE UPDATE OF status ON agent_runs FOR EACH ROW
WHEN (NEW.webhook IS NOT NULL AND OLD.status IN ('pending', 'running') AND NEW.status NOT IN ('pending', 'running'))
EXECUTE FUNCTION agent_tell_of_run();

-- Runs that are made again and again.
CREATE TABLE IF NOT EXISTS agent_crons (
  cron_id uuid PRIMARY KEY,
  owner text NOT NULL,
  user_document jsonb,
  configurable jsonb NOT NULL DEFAULT '{}',
  assistant_id text NOT NULL,
  thread_id uuid REFERENCES agent_threads ON DELETE CASCADE,
  on_run_completed text,
  schedule text NOT NULL,
  timezone text,
  end_time timestamptz,
  enabled boolean NOT NULL,
  payload jsonb NOT NULL,
  metadata jsonb NOT NULL,
  next_run_date timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
-- The firing that has it, for how long.
ALTER TABLE agent_crons ADD COLUMN IF NOT EXISTS taken_by uuid;
ALTER TABLE agent_crons ADD COLUMN IF NOT EXISTS taken_until timestamptz;
CREATE INDEX IF NOT EXISTS agent_crons_of_owner ON agent_crons (owner, created_at);
CREATE INDEX IF NOT EXISTS agent_crons_of_thread ON agent_crons (thread_id);
CREATE INDEX IF NOT EXISTS agent_crons_due ON agent_crons (next_run_date) WHERE enabled;
