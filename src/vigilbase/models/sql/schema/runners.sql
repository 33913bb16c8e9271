-- Active runners. Each updates seen_at every few seconds, by any transport.
CREATE TABLE IF NOT EXISTS vigilbase.runners (
    runner_id UUID PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE vigilbase.runners ENABLE ROW LEVEL SECURITY;
