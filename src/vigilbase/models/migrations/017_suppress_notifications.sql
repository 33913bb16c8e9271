-- 017_suppress_notifications.sql
-- Created: 2026-11-25 18:22
--
-- Silences and maintenance windows.

-- Makes all suppressed notifications due now, since a suppression may have ended. Skips locked rows: the transaction
-- that locks them decides.
CREATE OR REPLACE FUNCTION vigilbase.requeue_suppressed()
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
BEGIN
    UPDATE vigilbase.notifications AS n SET due_at = v_now
    WHERE n.id = ANY (ARRAY(
        SELECT e.id FROM vigilbase.notifications AS e
        WHERE e.status = 'pending' AND e.suppressed_by IS NOT NULL AND e.due_at > v_now
        ORDER BY e.id
        FOR UPDATE SKIP LOCKED
    ));
    IF FOUND THEN
        PERFORM pg_notify('vigilbase_notifications', '');
    END IF;
END;
$$;

-- Adds a silence or a maintenance window (p_kind) from p_starts_at, or now if that is null; it ends at p_ends_at or
-- after p_length_s seconds, or, if both are null, when vigilbase_end_suppression ends it. Returns {"outcome": "added" |
-- "in_the_past" | "empty", "suppression": row or null}.
CREATE OR REPLACE FUNCTION public.vigilbase_add_suppression(
    p_kind text, p_service_glob text, p_tag text, p_starts_at timestamptz, p_ends_at timestamptz,
    p_length_s double precision, p_author text, p_comment text,
    p_cron text DEFAULT NULL, p_duration_s integer DEFAULT NULL, p_time_zone text DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_starts_at CONSTANT timestamptz := coalesce(p_starts_at, v_now);
    v_ends_at CONSTANT timestamptz := coalesce(p_ends_at, v_starts_at + make_interval(secs => p_length_s));
    v_suppression vigilbase.suppressions;
BEGIN
    IF v_starts_at < v_now OR v_ends_at <= v_starts_at THEN
        RETURN json_build_object(
            'outcome', CASE WHEN v_starts_at < v_now THEN 'in_the_past' ELSE 'empty' END, 'suppression', NULL
        );
    END IF;
    INSERT INTO vigilbase.suppressions AS s
        (kind, service_glob, tag, starts_at, ends_at, cron, duration_s, time_zone, author, comment)
    VALUES (
        p_kind, p_service_glob, p_tag, v_starts_at, v_ends_at, p_cron, p_duration_s, p_time_zone, p_author, p_comment
    )
    RETURNING s.* INTO v_suppression;
    RETURN json_build_object('outcome', 'added', 'suppression', row_to_json(v_suppression));
END;
$$;

-- Ends a suppression of a kind now, or cancels it if it has not started; notifications that it suppressed are sent.
-- NULL for an unknown id, else {"has_ended": whether this call ended it, "suppression": row}.
CREATE OR REPLACE FUNCTION public.vigilbase_end_suppression(p_kind text, p_id uuid)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_now timestamptz;
    v_has_ended boolean;
    v_suppression vigilbase.suppressions;
BEGIN
    -- The clock is read under the lock, so that only one of several calls ends it.
    PERFORM FROM vigilbase.suppressions AS s WHERE s.kind = p_kind AND s.id = p_id FOR UPDATE;
    v_now := clock_timestamp();
    UPDATE vigilbase.suppressions AS s SET ends_at = greatest(v_now, s.starts_at)
    WHERE s.kind = p_kind AND s.id = p_id AND (s.ends_at IS NULL OR s.ends_at > greatest(v_now, s.starts_at));
    v_has_ended := FOUND;
    IF v_has_ended THEN
        PERFORM vigilbase.requeue_suppressed();
    END IF;
    SELECT s.* INTO v_suppression FROM vigilbase.suppressions AS s WHERE s.kind = p_kind AND s.id = p_id;
    RETURN CASE WHEN FOUND THEN
        json_build_object('has_ended', v_has_ended, 'suppression', row_to_json(v_suppression))
    END;
END;
$$;

-- The suppressions of a kind with ids between two ids, both included, by id, at most p_limit.
CREATE OR REPLACE FUNCTION public.vigilbase_find_suppressions(
    p_kind text, p_first_id uuid, p_last_id uuid, p_limit integer
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT coalesce(json_agg(row_to_json(page) ORDER BY page.id), '[]')
    FROM (
        SELECT s.* FROM vigilbase.suppressions AS s
        WHERE s.kind = p_kind AND s.id BETWEEN p_first_id AND p_last_id
        ORDER BY s.id
        LIMIT p_limit
    ) AS page
$$;

-- The suppressions of a kind, or of both if p_kind is null, newest first, at most p_limit if that is not null: those
-- that have not ended; with p_since also those that ended after it; with p_include_ended all.
CREATE OR REPLACE FUNCTION public.vigilbase_list_suppressions(
    p_kind text, p_include_ended boolean DEFAULT false, p_since timestamptz DEFAULT NULL, p_limit integer DEFAULT NULL
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT coalesce(json_agg(row_to_json(page) ORDER BY page.created_at DESC, page.id DESC), '[]')
    FROM (
        SELECT s.* FROM vigilbase.suppressions AS s
        WHERE (p_kind IS NULL OR s.kind = p_kind) AND (
            p_include_ended OR s.ends_at IS NULL OR s.ends_at > p_since
            OR (s.ends_at > clock_timestamp() AND s.ends_at > s.starts_at)
        )
        ORDER BY s.created_at DESC, s.id DESC
        LIMIT p_limit
    ) AS page
$$;
