-- One row for each known service: the source of truth for other processes, and the service's lock. It changes when a
-- definition or a status changes, never with an ordinary check. `owner` is the file or key that added the service;
-- `target` holds facts about the probed host, such as its address or its certificate, and no secret. `revision` has no
-- index, so that locking a service is a HOT update.
CREATE TABLE IF NOT EXISTS vigilbase.services (
    service_name VARCHAR(100) PRIMARY KEY,
    kind TEXT,
    interval_s DOUBLE PRECISION,
    timeout_s DOUBLE PRECISION,
    tags JSONB NOT NULL DEFAULT '[]',
    group_name TEXT,
    source TEXT NOT NULL DEFAULT 'app' CHECK (source IN ('file', 'api', 'app')),
    owner TEXT,
    is_on_status_page BOOLEAN NOT NULL DEFAULT false,
    target JSONB,
    paused_at TIMESTAMP WITH TIME ZONE,
    removed_at TIMESTAMP WITH TIME ZONE,
    revision BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP
);
ALTER TABLE vigilbase.services ENABLE ROW LEVEL SECURITY;
