"""The SQL of the PostgreSQL registry. Each statement is one round trip, and safe to send again.

What every run sends goes in binary form (`%b`): text arrays are escaped element by element.
"""

from langgraph_agents_service.persistence.registry.filters import admitted

_OWNED = f"(t.owner = %(owner)s AND {admitted('%(only)s::jsonb', 't.metadata')})"
"""For the parameters that `owned` gives."""

_STATUS = """CASE WHEN EXISTS (SELECT 1 FROM agent_runs r WHERE r.thread_id = t.thread_id
                                AND r.status IN ('pending', 'running'))
             THEN 'busy' ELSE t.status END"""

_THREAD = f"""t.thread_id, t.owner, t.metadata, t.config, t.error, t.ttl_minutes, t.ttl_strategy, t.created_at,
              t.updated_at, COALESCE(t.state_updated_at, t.updated_at) AS state_updated_at, {_STATUS} AS status"""

_RUN = """r.run_id, (SELECT t.owner FROM agent_threads t WHERE t.thread_id = r.thread_id) AS owner,
          r.thread_id, r.assistant_id, r.graph_id, r.payload, r.metadata, r.multitask_strategy,
          r.status, r.attempt, r.error, r.record_events, r.rollback, r.answered, r.webhook, r.created_at,
          r.updated_at"""

CREATE_THREAD = """
INSERT INTO agent_threads (thread_id, owner, metadata, ttl_minutes, ttl_strategy, state_updated_at)
VALUES (%s, %s, %s, %s, %s, now())
ON CONFLICT (thread_id) DO NOTHING RETURNING *"""

GET_THREAD = f"SELECT {_THREAD} FROM agent_threads t WHERE t.thread_id = %(thread_id)s AND {_OWNED}"  # noqa: S608

UPDATE_THREAD = f"""
UPDATE agent_threads t
SET metadata = t.metadata || %(metadata)s, updated_at = now(),
    ttl_minutes = COALESCE(%(ttl_minutes)s, t.ttl_minutes), ttl_strategy = COALESCE(%(ttl_strategy)s, t.ttl_strategy)
WHERE t.thread_id = %(thread_id)s AND {_OWNED} RETURNING {_THREAD}"""  # noqa: S608

_FOUND = f"""
FROM agent_threads t
WHERE {_OWNED} AND t.metadata @> %(contained)s AND t.metadata @> %(metadata)s
  AND (%(status)s::text IS NULL OR %(status)s = {_STATUS})"""

COUNT_THREADS = f"SELECT count(*) AS count {_FOUND}"

_SORTS = ("thread_id", "status", "created_at", "updated_at", "state_updated_at")


def search_threads(sort_by: str, descending: bool) -> str:
    """`sort_by` is one of thread_id, status, created_at, updated_at."""
    column = _SORTS[_SORTS.index(sort_by)]
    return f"""
    SELECT {_THREAD} {_FOUND} AND (%(ids)s::uuid[] IS NULL OR t.thread_id = ANY(%(ids)s))
    ORDER BY {column} {"DESC" if descending else "ASC"}, t.thread_id LIMIT %(limit)s OFFSET %(offset)s"""


DELETE_THREAD = f"""
DELETE FROM agent_threads t WHERE t.thread_id = %(thread_id)s AND {_OWNED}
  AND NOT EXISTS (SELECT 1 FROM agent_runs r
                  WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running'))
RETURNING t.thread_id"""  # noqa: S608

SET_THREAD_STATUS = """
UPDATE agent_threads SET status = %s, error = NULL, updated_at = now(), state_updated_at = now()
WHERE thread_id = %s"""

# Whose config a thread gets when a run begins on it: `of_thread` in base.py says the same.
_CONFIG = """(assistant -> 'config') || {thread} || config
          || jsonb_build_object('configurable', COALESCE(assistant -> 'config' -> 'configurable', '{{}}')
                                                || COALESCE({thread} -> 'configurable', '{{}}'))"""

_NAMES = "jsonb_build_object('graph_id', graph_id, 'assistant_id', assistant_id)"

_UNTOUCHED = "(r.status = 'pending' AND r.attempt = 0)"
"""A run that has left no trace yet."""


def _cancelled(rollback: str) -> str:
    """A pending run ends at once; but one to undo, which a process that died has begun, waits for who undoes it."""
    return f"""cancelled = true, updated_at = now(),
      status = CASE WHEN r.status = 'pending' AND NOT ({rollback}) THEN 'interrupted' ELSE r.status END"""


_BEGIN = """
WITH item AS (
  SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
                       %b::text[], %b::text[], %b::text[], %b::text[], %b::bool[], %b::bool[], %b::bool[],
                       %b::bool[], %b::text[], %b::text[])
    AS i(run_id, thread_id, owner, allowed, assistant_id, graph_id, payload, given_metadata, given_assistant,
         given_config, strategy, record_events, create_thread, start, enqueue, after,
         webhook),
    LATERAL (SELECT given_metadata::jsonb AS metadata, given_assistant::jsonb AS assistant,
                    given_config::jsonb AS config) AS j
), first AS (
  SELECT DISTINCT ON (thread_id) run_id, thread_id, owner, metadata || {names} AS metadata, {new_config} AS config
  FROM item WHERE create_thread
), made AS (
  INSERT INTO agent_threads (thread_id, owner, metadata, config, state_updated_at)
  SELECT thread_id, owner, metadata, config, now() FROM first
  ON CONFLICT (thread_id) DO NOTHING
  RETURNING thread_id, owner, metadata, config
), threads AS (
  SELECT thread_id, owner, metadata, config FROM made
  UNION ALL
  SELECT t.thread_id, t.owner, t.metadata, t.config FROM agent_threads t
  WHERE t.thread_id = ANY (SELECT thread_id FROM item)
), known AS (
  SELECT item.run_id, (assistant -> 'metadata') || threads.metadata || item.metadata || {names} AS run_metadata,
         {changed_config} AS thread_config
  FROM item JOIN threads USING (thread_id, owner)
  WHERE {admitted} OR item.run_id IN (SELECT first.run_id FROM first JOIN made USING (thread_id))
), entering AS (
  SELECT item.*, known.run_metadata, known.thread_config,
         EXISTS (SELECT 1 FROM agent_runs r WHERE r.thread_id = item.thread_id
                 AND r.status IN ('pending', 'running')) AS busy
  FROM item JOIN known USING (run_id)
  WHERE NOT EXISTS (SELECT 1 FROM agent_runs r WHERE r.run_id = item.run_id)
), entered AS (
  INSERT INTO agent_runs (run_id, thread_id, assistant_id, graph_id, status, worker_id, attempt,
                          payload, metadata, multitask_strategy, record_events, webhook, created_at)
  SELECT run_id, thread_id, assistant_id, graph_id,
         CASE WHEN start AND NOT busy THEN 'running' ELSE 'pending' END,
         CASE WHEN start AND NOT busy THEN %s::uuid END,
         CASE WHEN start AND NOT busy THEN 1 ELSE 0 END,
         payload, run_metadata::text, strategy, record_events, NULLIF(webhook, ''),
         clock_timestamp() + make_interval(secs => after::float8)
  FROM entering WHERE enqueue OR NOT busy
  ON CONFLICT DO NOTHING
  RETURNING run_id, status, attempt, created_at, metadata
), superseded AS (
  UPDATE agent_runs r SET {cancelled}, rollback = r.rollback OR strategy = 'rollback'
  FROM entering WHERE r.thread_id = entering.thread_id AND strategy IN ('interrupt', 'rollback')
    AND r.status IN ('pending', 'running') AND NOT (strategy = 'rollback' AND {untouched})
), undone AS (
  DELETE FROM agent_runs r USING entering
  WHERE r.thread_id = entering.thread_id AND strategy = 'rollback' AND {untouched}
), named AS (
  UPDATE agent_threads t SET metadata = t.metadata || {names}, config = thread_config
  FROM entering WHERE t.thread_id = entering.thread_id
    AND (NOT t.metadata @> {names} OR t.config <> thread_config)
)
SELECT item.run_id, {commit}
       COALESCE(entered.status, before.status) AS entered,
       COALESCE(entered.attempt, before.attempt) AS attempt,
       COALESCE(entered.created_at, before.created_at) AS created_at,
       COALESCE(entered.metadata, before.metadata) AS metadata,
       CASE WHEN item.thread_id IN (SELECT thread_id FROM threads)
            THEN item.run_id IN (SELECT run_id FROM known) END AS known,
       item.thread_id IN (SELECT thread_id FROM made) AS fresh
FROM item
LEFT JOIN entered USING (run_id)
LEFT JOIN agent_runs before USING (run_id)""".replace(
    "{admitted}", admitted("item.allowed::jsonb", "threads.metadata")
)
for _part, _sql in (
    ("{names}", _NAMES),
    ("{cancelled}", _cancelled("strategy = 'rollback'")),
    ("{untouched}", _UNTOUCHED),
    ("{new_config}", _CONFIG.format(thread="'{}'::jsonb")),
    ("{changed_config}", _CONFIG.format(thread="threads.config").replace("|| config", "|| item.config")),
):
    _BEGIN = _BEGIN.replace(_part, _sql)

# The commit of a run whose client waits need not reach the disk by itself: nothing has been promised yet, and the
# commits of its checkpoints, which are waited for, take it along. The same goes for its end: a crash of the
# database that forgets it leaves a run that is held but not executed, which is given back and found complete.
_RELAXED = "set_config('synchronous_commit', 'off', true)"

BEGIN_RUNS = _BEGIN.replace("{commit}", "")
BEGIN_RUNS_RELAXED = _BEGIN.replace("{commit}", f"{_RELAXED},")

CLAIM_RUNS = f"""
UPDATE agent_runs r
SET status = 'running', worker_id = %s, attempt = r.attempt + 1, updated_at = now(),
    record_events = r.record_events OR r.attempt > 0
WHERE r.run_id IN (
  SELECT p.run_id FROM agent_runs p
  WHERE p.status = 'pending' AND p.graph_id = ANY (%s) AND p.created_at <= now()
    AND NOT EXISTS (SELECT 1 FROM agent_runs a WHERE a.thread_id = p.thread_id
                    AND (a.status = 'running' OR a.status = 'pending'
                         AND (a.created_at, a.run_id) < (p.created_at, p.run_id)))
  ORDER BY p.created_at LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING {_RUN}"""  # noqa: S608

FINISH_RUNS = """
WITH item AS (
  SELECT * FROM unnest(%b::uuid[], %b::int[], %b::text[], %b::text[], %b::text[], %b::text[])
    AS i(run_id, attempt, status, error, thread_status, result)
), ended AS (
  UPDATE agent_runs r SET status = CASE WHEN r.cancelled THEN 'interrupted' ELSE item.status END,
                          error = CASE WHEN NOT r.cancelled THEN NULLIF(item.error, '') END,
                          result = NULLIF(item.result, ''), updated_at = now(), worker_id = NULL
  FROM item WHERE r.run_id = item.run_id AND r.attempt = item.attempt AND r.worker_id = %s
    AND r.status = 'running' AND NOT r.rollback
  RETURNING r.run_id, r.thread_id, r.status, r.error,
            CASE WHEN r.cancelled THEN 'interrupted' ELSE item.thread_status END AS thread_status
)
UPDATE agent_threads t
SET status = ended.thread_status, error = ended.error, updated_at = now(), state_updated_at = now()
FROM ended WHERE t.thread_id = ended.thread_id RETURNING ended.run_id, ended.status AS recorded"""

FINISH_RUNS_RELAXED = f"{FINISH_RUNS}, {_RELAXED}"


def _threads_of(runs: str) -> str:
    """How runs that ended without their process leave their threads; those of others stay as they are."""
    return f"""UPDATE agent_threads t SET status = {runs}.status, error = {runs}.error, updated_at = now() FROM {runs}
WHERE t.thread_id = {runs}.thread_id AND {runs}.status IN ('error', 'interrupted')"""  # noqa: S608


RELEASE_RUN = f"""
WITH released AS (
  UPDATE agent_runs r SET status = CASE WHEN r.cancelled AND NOT r.rollback THEN 'interrupted' ELSE 'pending' END,
                          worker_id = NULL, updated_at = now()
  WHERE run_id = %s AND worker_id = %s AND attempt = %s AND status = 'running'
  RETURNING r.thread_id, r.status, r.error
) {_threads_of("released")}"""  # noqa: S608

# An attempt that did not end, for whatever reason but a shutdown in order, which releases its runs.
_FAILED_ATTEMPT = """worker_id = NULL, deaths = r.deaths + 1, updated_at = now(),
      status = CASE WHEN r.rollback THEN 'pending' WHEN r.cancelled THEN 'interrupted'
                    WHEN r.deaths + 1 >= %(max_attempts)s THEN 'error' ELSE 'pending' END,
      error = CASE WHEN r.deaths + 1 >= %(max_attempts)s AND NOT r.rollback AND NOT r.cancelled THEN
        '{"error":"WorkerDied","message":"no attempt came to an end: its process died, or its end was not kept"}' END"""

GIVE_BACK_RUNS = f"""
WITH orphans AS (
  UPDATE agent_runs r SET {_FAILED_ATTEMPT}
  WHERE r.run_id = ANY (%(run_ids)s::uuid[]) AND r.worker_id = %(worker)s AND r.status = 'running'
  RETURNING r.thread_id, r.status, r.error
) {_threads_of("orphans")}"""  # noqa: S608

GET_RUN = f"""
SELECT {_RUN} FROM agent_runs r JOIN agent_threads t USING (thread_id)
WHERE r.run_id = %(run_id)s AND r.thread_id = %(thread_id)s AND {_OWNED}"""  # noqa: S608

LIST_RUNS = f"""
SELECT {_RUN} FROM agent_runs r WHERE r.thread_id = %s AND (%s::text IS NULL OR r.status = %s)
ORDER BY r.created_at DESC LIMIT %s OFFSET %s"""  # noqa: S608

_WITHOUT_TRACE = """
WITH gone AS (
  DELETE FROM agent_runs WHERE run_id = %(run_id)s AND {which} RETURNING run_id, thread_id
), checkpoint AS (
  DELETE FROM checkpoints c USING gone
  WHERE c.thread_id = gone.thread_id::text AND c.metadata ->> 'run_id' = gone.run_id::text
  RETURNING c.thread_id, c.checkpoint_ns, c.checkpoint_id
), writes AS (
  DELETE FROM checkpoint_writes w USING checkpoint c
  WHERE w.thread_id = c.thread_id AND w.checkpoint_ns = c.checkpoint_ns AND w.checkpoint_id = c.checkpoint_id
)
SELECT run_id FROM gone"""
# Their blobs stay until the thread goes: other checkpoints may share them.

DELETE_RUN = _WITHOUT_TRACE.replace("{which}", "status NOT IN ('pending', 'running')")

UNDO_RUN = _WITHOUT_TRACE.replace(
    "{which}", "worker_id = %(worker)s AND attempt = %(attempt)s AND status = 'running'"
)

CANCEL_RUNS = f"""
WITH found AS (
  SELECT r.run_id FROM agent_runs r JOIN agent_threads t USING (thread_id)
  WHERE {_OWNED} AND r.status = ANY (%(statuses)s)
    AND (%(thread_id)s::uuid IS NULL OR r.thread_id = %(thread_id)s)
    AND (%(run_ids)s::uuid[] IS NULL OR r.run_id = ANY (%(run_ids)s))
    AND (%(assistant_id)s::text IS NULL OR r.assistant_id = %(assistant_id)s)
), cancelled AS (
  UPDATE agent_runs r SET {_cancelled("%(rollback)s")}, rollback = r.rollback OR %(rollback)s
  FROM found WHERE r.run_id = found.run_id AND r.status IN ('pending', 'running')
    AND NOT (%(rollback)s AND {_UNTOUCHED})
  RETURNING r.run_id, r.thread_id, r.status, r.error, r.attempt
), undone AS (
  DELETE FROM agent_runs r USING found WHERE r.run_id = found.run_id AND %(rollback)s AND {_UNTOUCHED}
  RETURNING r.run_id
), begun AS (
  SELECT * FROM cancelled WHERE attempt > 0
), threads AS (
  {_threads_of("begun")}
)
SELECT run_id FROM cancelled UNION ALL SELECT run_id FROM undone"""  # noqa: S608

ASK_FOR_EVENTS = "UPDATE agent_runs SET record_events = true WHERE run_id = %s AND NOT record_events"

ADD_EVENTS = """
INSERT INTO agent_events (run_id, seq, event, data)
SELECT i.* FROM unnest(%b::uuid[], %b::int8[], %b::text[], %b::bytea[]) AS i(run_id, seq, event, data)
WHERE EXISTS (SELECT 1 FROM agent_runs r WHERE r.run_id = i.run_id)
ON CONFLICT DO NOTHING"""

READ_EVENTS = (
    "SELECT seq, event, data FROM agent_events WHERE run_id = %s AND seq > %s ORDER BY seq LIMIT 1000"
)

RENEW = """
INSERT INTO agent_workers (worker_id) VALUES (%s) ON CONFLICT (worker_id) DO UPDATE SET beat_at = now()"""

BEAT = """
WITH beat AS (
  INSERT INTO agent_workers (worker_id, executing) VALUES (%(worker)s, %(executing)s)
  ON CONFLICT (worker_id) DO UPDATE SET beat_at = now(), executing = EXCLUDED.executing
), pending AS (
  SELECT count(*) AS pending FROM agent_runs WHERE status = 'pending' AND created_at <= now()
), others AS (
  SELECT COALESCE(sum(executing), 0)::int AS elsewhere FROM agent_workers
  WHERE worker_id <> %(worker)s AND beat_at >= now() - make_interval(secs => %(lease)s)
)
SELECT pending, elsewhere, run_id, cancelled, rollback, record_events
FROM pending CROSS JOIN others LEFT JOIN agent_runs ON worker_id = %(worker)s AND status = 'running'"""

REAP = f"""
WITH dead AS (
  DELETE FROM agent_workers WHERE beat_at < now() - make_interval(secs => %(lease)s) RETURNING worker_id
), orphans AS (
  UPDATE agent_runs r SET {_FAILED_ATTEMPT}
  WHERE r.status = 'running'
    AND NOT EXISTS (SELECT 1 FROM agent_workers w WHERE w.worker_id = r.worker_id
                    AND w.beat_at >= now() - make_interval(secs => %(lease)s))
  RETURNING r.thread_id, r.status, r.error
) {_threads_of("orphans")}"""  # noqa: S608
