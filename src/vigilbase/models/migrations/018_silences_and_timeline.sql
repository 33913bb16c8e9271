-- 018_silences_and_timeline.sql
-- Created: 2026-11-24
--
-- What withholds messages for a while: silences and maintenance windows; and who acknowledged or resolved an alert,
-- with a comment, kept in its timeline. Functions as in 013.
--
-- Both hold for the services whose name fits a pattern, or that have a tag. Intervals are half-open: they begin with
-- starts_at and are over at ends_at. Nothing but the end may be changed, and only while it lies ahead; what is taken
-- back before it began ends where it would have begun, and so is empty.

CREATE TABLE IF NOT EXISTS public.silences (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    service_glob TEXT,
    tag TEXT,
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE,
    author TEXT NOT NULL,
    comment TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
    CHECK (num_nonnulls(service_glob, tag) = 1),
    CHECK (ends_at >= starts_at)
);
CREATE INDEX IF NOT EXISTS idx_silences_ends_at ON public.silences (ends_at);

-- Once, from starts_at to ends_at; or, with a cron expression, for duration_s seconds from each of its times by the
-- clocks of a time zone, as far as that lies between starts_at and ends_at.
CREATE TABLE IF NOT EXISTS public.maintenance_windows (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    service_glob TEXT,
    tag TEXT,
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE,
    cron TEXT,
    duration_s INTEGER CHECK (duration_s > 0),
    time_zone TEXT,
    author TEXT NOT NULL,
    comment TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
    CHECK (num_nonnulls(service_glob, tag) = 1),
    CHECK (ends_at >= starts_at),
    CHECK (num_nonnulls(cron, duration_s, time_zone) IN (0, 3)),
    CHECK (num_nonnulls(cron, ends_at) > 0)
);
CREATE INDEX IF NOT EXISTS idx_maintenance_windows_ends_at ON public.maintenance_windows (ends_at);

ALTER TABLE public.silences ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.maintenance_windows ENABLE ROW LEVEL SECURITY;

-- Adds a silence, from now on where p_starts_at is null; it ends at p_ends_at or after p_length_s seconds, and where
-- both are null, when somebody ends it. Answers {"outcome": "added" | "in_the_past" | "empty", "silence": row or null}.
CREATE OR REPLACE FUNCTION public.vigilbase_add_silence_v1(
    p_service_glob text, p_tag text, p_starts_at timestamptz, p_ends_at timestamptz, p_length_s double precision,
    p_author text, p_comment text
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_starts_at CONSTANT timestamptz := coalesce(p_starts_at, v_now);
    v_ends_at CONSTANT timestamptz := coalesce(p_ends_at, v_starts_at + make_interval(secs => p_length_s));
    v_silence public.silences;
BEGIN
    IF v_starts_at < v_now OR v_ends_at <= v_starts_at THEN
        RETURN json_build_object(
            'outcome', CASE WHEN v_starts_at < v_now THEN 'in_the_past' ELSE 'empty' END, 'silence', NULL
        );
    END IF;
    INSERT INTO public.silences AS s (service_glob, tag, starts_at, ends_at, author, comment)
    VALUES (p_service_glob, p_tag, v_starts_at, v_ends_at, p_author, p_comment)
    RETURNING s.* INTO v_silence;
    RETURN json_build_object('outcome', 'added', 'silence', row_to_json(v_silence));
END;
$$;

-- The silences that are not over, or with p_over all, newest first; at most p_limit, where that is not null.
CREATE OR REPLACE FUNCTION public.vigilbase_list_silences_v1(p_over boolean DEFAULT false, p_limit integer DEFAULT NULL)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
    SELECT coalesce(json_agg(row_to_json(page) ORDER BY page.created_at DESC, page.id), '[]')
    FROM (
        SELECT s.* FROM public.silences AS s
        WHERE p_over OR s.ends_at IS NULL OR (s.ends_at > clock_timestamp() AND s.ends_at > s.starts_at)
        ORDER BY s.created_at DESC, s.id
        LIMIT p_limit
    ) AS page
$$;

-- Ends a silence now, or takes it back if it has not begun. NULL for an unknown id, else {"ended": whether it was not
-- over yet, "silence": row}.
CREATE OR REPLACE FUNCTION public.vigilbase_end_silence_v1(p_id uuid)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_ended boolean;
    v_silence public.silences;
BEGIN
    UPDATE public.silences AS s SET ends_at = greatest(v_now, s.starts_at)
    WHERE s.id = p_id AND (s.ends_at IS NULL OR s.ends_at > greatest(v_now, s.starts_at));
    v_ended := FOUND;
    SELECT s.* INTO v_silence FROM public.silences AS s WHERE s.id = p_id;
    RETURN CASE WHEN FOUND THEN json_build_object('ended', v_ended, 'silence', row_to_json(v_silence)) END;
END;
$$;

-- As vigilbase_add_silence_v1, for a maintenance window: {"outcome", "maintenance": row or null}.
CREATE OR REPLACE FUNCTION public.vigilbase_add_maintenance_v1(
    p_service_glob text, p_tag text, p_starts_at timestamptz, p_ends_at timestamptz, p_length_s double precision,
    p_cron text, p_duration_s integer, p_time_zone text, p_author text, p_comment text
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_starts_at CONSTANT timestamptz := coalesce(p_starts_at, v_now);
    v_ends_at CONSTANT timestamptz := coalesce(p_ends_at, v_starts_at + make_interval(secs => p_length_s));
    v_maintenance public.maintenance_windows;
BEGIN
    IF v_starts_at < v_now OR v_ends_at <= v_starts_at THEN
        RETURN json_build_object(
            'outcome', CASE WHEN v_starts_at < v_now THEN 'in_the_past' ELSE 'empty' END, 'maintenance', NULL
        );
    END IF;
    INSERT INTO public.maintenance_windows AS m
        (service_glob, tag, starts_at, ends_at, cron, duration_s, time_zone, author, comment)
    VALUES
        (p_service_glob, p_tag, v_starts_at, v_ends_at, p_cron, p_duration_s, p_time_zone, p_author, p_comment)
    RETURNING m.* INTO v_maintenance;
    RETURN json_build_object('outcome', 'added', 'maintenance', row_to_json(v_maintenance));
END;
$$;

-- As vigilbase_list_silences_v1, for maintenance windows.
CREATE OR REPLACE FUNCTION public.vigilbase_list_maintenance_v1(
    p_over boolean DEFAULT false, p_limit integer DEFAULT NULL
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
    SELECT coalesce(json_agg(row_to_json(page) ORDER BY page.created_at DESC, page.id), '[]')
    FROM (
        SELECT m.* FROM public.maintenance_windows AS m
        WHERE p_over OR m.ends_at IS NULL OR (m.ends_at > clock_timestamp() AND m.ends_at > m.starts_at)
        ORDER BY m.created_at DESC, m.id
        LIMIT p_limit
    ) AS page
$$;

-- As vigilbase_end_silence_v1, for a maintenance window: {"ended", "maintenance"}. It does not come again.
CREATE OR REPLACE FUNCTION public.vigilbase_end_maintenance_v1(p_id uuid)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_ended boolean;
    v_maintenance public.maintenance_windows;
BEGIN
    UPDATE public.maintenance_windows AS m SET ends_at = greatest(v_now, m.starts_at)
    WHERE m.id = p_id AND (m.ends_at IS NULL OR m.ends_at > greatest(v_now, m.starts_at));
    v_ended := FOUND;
    SELECT m.* INTO v_maintenance FROM public.maintenance_windows AS m WHERE m.id = p_id;
    RETURN CASE WHEN FOUND THEN json_build_object('ended', v_ended, 'maintenance', row_to_json(v_maintenance)) END;
END;
$$;

-- As vigilbase_acknowledge_alert_v1, and owes the messages about it; the timeline keeps who did it and a comment. A
-- comment on an alert that is acknowledged already is kept by itself.
CREATE OR REPLACE FUNCTION public.vigilbase_acknowledge_alert_v2(
    p_id uuid, p_author text DEFAULT NULL, p_comment text DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_acknowledged boolean;
    v_alert public.alert_events;
BEGIN
    PERFORM public.vigilbase_lock_service_v1(a.service_name) FROM public.alert_events AS a WHERE a.id = p_id;
    UPDATE public.alert_events AS a
    SET status = 'acknowledged', acknowledged_at = clock_timestamp()
    WHERE a.id = p_id AND a.status = 'active';
    v_acknowledged := FOUND;
    SELECT a.* INTO v_alert FROM public.alert_events AS a WHERE a.id = p_id;
    IF v_acknowledged THEN
        PERFORM public.vigilbase_note_v1(p_id, v_alert.service_name, 'acknowledged', p_author, p_comment, NULL);
        PERFORM public.vigilbase_owe_follow_up_v1(p_id, v_alert.service_name, 'acknowledged');
    ELSIF v_alert.status = 'acknowledged' AND p_comment IS NOT NULL THEN
        PERFORM public.vigilbase_note_v1(p_id, v_alert.service_name, 'commented', p_author, p_comment, NULL);
    END IF;
    RETURN CASE WHEN v_alert.id IS NOT NULL THEN row_to_json(v_alert) END;
END;
$$;

-- As vigilbase_resolve_alert_v1, otherwise as vigilbase_acknowledge_alert_v2.
CREATE OR REPLACE FUNCTION public.vigilbase_resolve_alert_v2(
    p_id uuid, p_author text DEFAULT NULL, p_comment text DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_resolved boolean;
    v_alert public.alert_events;
BEGIN
    PERFORM public.vigilbase_lock_service_v1(a.service_name) FROM public.alert_events AS a WHERE a.id = p_id;
    UPDATE public.alert_events AS a
    SET status = 'resolved', resolved_at = clock_timestamp()
    WHERE a.id = p_id AND a.status <> 'resolved';
    v_resolved := FOUND;
    SELECT a.* INTO v_alert FROM public.alert_events AS a WHERE a.id = p_id;
    IF v_resolved THEN
        PERFORM public.vigilbase_note_v1(p_id, v_alert.service_name, 'resolved', p_author, p_comment, NULL);
        PERFORM public.vigilbase_owe_follow_up_v1(p_id, v_alert.service_name, 'resolved');
    ELSIF v_alert.id IS NOT NULL AND p_comment IS NOT NULL THEN
        PERFORM public.vigilbase_note_v1(p_id, v_alert.service_name, 'commented', p_author, p_comment, NULL);
    END IF;
    RETURN CASE WHEN v_alert.id IS NOT NULL THEN row_to_json(v_alert) END;
END;
$$;

-- All that happened to an alert, in order.
CREATE OR REPLACE FUNCTION public.vigilbase_alert_timeline_v1(p_alert_id uuid)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
    SELECT coalesce(json_agg(row_to_json(t) ORDER BY t.id), '[]')
    FROM public.alert_timeline AS t
    WHERE t.alert_id = p_alert_id
$$;

-- Privileges, as in 013. Of what is there, only the end may be changed, and nothing deleted.
DO $$
DECLARE
    v_tables CONSTANT text := 'public.silences, public.maintenance_windows';
    v_functions CONSTANT text := 'public.vigilbase_add_silence_v1(
            text, text, timestamptz, timestamptz, double precision, text, text
        ),
        public.vigilbase_list_silences_v1(boolean, integer),
        public.vigilbase_end_silence_v1(uuid),
        public.vigilbase_add_maintenance_v1(
            text, text, timestamptz, timestamptz, double precision, text, integer, text, text, text
        ),
        public.vigilbase_list_maintenance_v1(boolean, integer),
        public.vigilbase_end_maintenance_v1(uuid),
        public.vigilbase_acknowledge_alert_v2(uuid, text, text),
        public.vigilbase_resolve_alert_v2(uuid, text, text),
        public.vigilbase_alert_timeline_v1(uuid)';
    v_role text;
BEGIN
    EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC', v_tables);
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_functions);
    FOREACH v_role IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = v_role) THEN
            EXECUTE format('REVOKE ALL ON TABLE %s FROM %I', v_tables, v_role);
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I', v_functions, v_role);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'service_role') THEN
        EXECUTE format('GRANT SELECT, INSERT, UPDATE (ends_at) ON TABLE %s TO service_role', v_tables);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO service_role', v_functions);
    END IF;
END;
$$;
