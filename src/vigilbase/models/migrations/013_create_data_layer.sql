-- 013_create_data_layer.sql
-- Created: 2026-11-24
--
-- What the models need beyond the two tables: the index behind "the latest check of a service", the functions for
-- whatever is more than one statement or may be more than one row, and the privileges of both.
--
-- Every function: SECURITY INVOKER, a fixed search_path, times as UTC, JSON in as text and out as one JSON value
-- (the Data API cuts sets at 1,000 rows), expected outcomes as values and never as raised errors.

CREATE INDEX IF NOT EXISTS idx_service_health_checks_service_checked
    ON public.service_health_checks (service_name, checked_at DESC NULLS LAST);

-- Who is asking, and would row-level security hide rows from them? A blind monitor must be told so at start.
CREATE OR REPLACE FUNCTION public.vigilbase_access_v1()
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
    SELECT json_build_object(
        'role', current_user,
        'blind', row_security_active('public.service_health_checks'::regclass)
              OR row_security_active('public.alert_events'::regclass),
        'now', clock_timestamp()
    )
$$;

-- One statement for a batch, so that it is written whole or not at all.
CREATE OR REPLACE FUNCTION public.vigilbase_insert_health_checks_v1(p_checks text)
RETURNS integer
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_count integer;
BEGIN
    INSERT INTO public.service_health_checks
        (service_name, status, latency_ms, checked_at, error_message, probe_details)
    SELECT c.service_name, c.status, c.latency_ms, c.checked_at, c.error_message, c.probe_details
    FROM json_to_recordset(p_checks::json) AS c (
        service_name text, status text, latency_ms integer, checked_at timestamptz, error_message text,
        probe_details jsonb
    );
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END;
$$;

-- The newest check of every service by checked_at. Each turn of the loop is one step in the index, from a service to
-- the first entry of the next, so the cost goes with the number of services and not with the length of the history.
CREATE OR REPLACE FUNCTION public.vigilbase_latest_health_checks_v1()
RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_check public.service_health_checks;
    v_checks json[] := '{}';
    v_name text := '';
BEGIN
    LOOP
        SELECT c.* INTO v_check
        FROM public.service_health_checks AS c
        WHERE c.service_name > v_name
        ORDER BY c.service_name, c.checked_at DESC NULLS LAST
        LIMIT 1;
        EXIT WHEN NOT FOUND;
        v_checks := array_append(v_checks, row_to_json(v_check));
        v_name := v_check.service_name;
    END LOOP;
    RETURN array_to_json(v_checks);
END;
$$;

-- A page of checks, newest first by created_at (rows without one come last), ties by id. The next page starts after
-- the last row of this one, so rows that are written meanwhile neither repeat nor shift anything.
-- The text of the query is built from constants alone, so that each shape gets the plan that fits it.
CREATE OR REPLACE FUNCTION public.vigilbase_list_health_checks_v1(
    p_limit integer,
    p_service_name text DEFAULT NULL,
    p_after_created_at timestamptz DEFAULT NULL,
    p_after_id uuid DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_service text := CASE WHEN p_service_name IS NULL THEN '' ELSE ' AND c.service_name = $2' END;
    v_dated text := CASE
        WHEN p_after_id IS NULL THEN ''
        WHEN p_after_created_at IS NULL THEN ' AND false'
        ELSE ' AND (c.created_at, c.id) < ($3, $4)'
    END;
    v_undated text := CASE
        WHEN p_after_id IS NOT NULL AND p_after_created_at IS NULL THEN ' AND c.id < $4' ELSE ''
    END;
    v_checks json[];
    v_more json[];
BEGIN
    EXECUTE 'SELECT array_agg(row_to_json(page)) FROM (
        SELECT c.* FROM public.service_health_checks AS c
        WHERE c.created_at IS NOT NULL' || v_service || v_dated || '
        ORDER BY c.created_at DESC, c.id DESC LIMIT $1) AS page'
    INTO v_checks USING p_limit, p_service_name, p_after_created_at, p_after_id;
    v_checks := coalesce(v_checks, '{}');
    IF cardinality(v_checks) < p_limit THEN
        EXECUTE 'SELECT array_agg(row_to_json(page)) FROM (
            SELECT c.* FROM public.service_health_checks AS c
            WHERE c.created_at IS NULL' || v_service || v_undated || '
            ORDER BY c.id DESC LIMIT $1) AS page'
        INTO v_more
        USING p_limit - cardinality(v_checks), p_service_name, p_after_created_at, p_after_id;
        v_checks := v_checks || coalesce(v_more, '{}');
    END IF;
    RETURN array_to_json(v_checks);
END;
$$;

-- Deletes up to p_limit checks written before a moment, and says how many and which moment it was: the first call of
-- a pass leaves p_before out, the others hand it back, so that a pass has one fixed end.
CREATE OR REPLACE FUNCTION public.vigilbase_delete_health_checks_v1(
    p_days integer,
    p_limit integer,
    p_before timestamptz DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_before timestamptz := coalesce(p_before, now() - make_interval(days => p_days));
    v_count integer;
BEGIN
    DELETE FROM public.service_health_checks
    WHERE id IN (SELECT c.id FROM public.service_health_checks AS c WHERE c.created_at < v_before LIMIT p_limit);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN json_build_object('deleted', v_count, 'before', v_before);
END;
$$;

-- All that opens, changes or closes an alert of a service takes this lock first and holds it to the end of its
-- transaction. The first key is Vigilbase's own (the letters "vigi"), so that no lock of the application is met.
CREATE OR REPLACE FUNCTION public.vigilbase_lock_service_v1(p_service_name text)
RETURNS void
LANGUAGE sql
SET search_path = ''
AS $$
    SELECT pg_advisory_xact_lock(1986619241, hashtext(p_service_name))
$$;

-- Inserts an alert event as it is asked for; the time that goes with its status is the database's.
CREATE OR REPLACE FUNCTION public.vigilbase_create_alert_v1(
    p_service_name text, p_alert_type text, p_status text, p_message text, p_details text
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_alert public.alert_events;
BEGIN
    INSERT INTO public.alert_events AS a
        (service_name, alert_type, status, message, details, acknowledged_at, resolved_at)
    VALUES (
        p_service_name, p_alert_type, p_status, p_message, p_details::jsonb,
        CASE WHEN p_status = 'acknowledged' THEN now() END,
        CASE WHEN p_status = 'resolved' THEN now() END
    )
    RETURNING a.* INTO v_alert;
    RETURN row_to_json(v_alert);
END;
$$;

-- The open alert of a service, type and details.rule, or one of the last p_within_minutes, or else a new one.
CREATE OR REPLACE FUNCTION public.vigilbase_raise_alert_v1(
    p_service_name text, p_alert_type text, p_message text, p_details text, p_within_minutes integer DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_alert public.alert_events;
BEGIN
    PERFORM public.vigilbase_lock_service_v1(p_service_name);
    SELECT a.* INTO v_alert
    FROM public.alert_events AS a
    WHERE a.service_name = p_service_name
      AND a.alert_type = p_alert_type
      AND (a.details ->> 'rule') IS NOT DISTINCT FROM (p_details::jsonb ->> 'rule')
      AND (a.status <> 'resolved'
           OR a.created_at >= clock_timestamp() - make_interval(mins => p_within_minutes))
    ORDER BY a.status = 'resolved', a.created_at DESC NULLS LAST, a.id DESC
    LIMIT 1;
    IF FOUND THEN
        RETURN json_build_object('alert', v_alert, 'is_new', false);
    END IF;
    RETURN json_build_object(
        'alert',
        public.vigilbase_create_alert_v1(p_service_name, p_alert_type, 'active', p_message, p_details),
        'is_new', true
    );
END;
$$;

-- The alert as it stands afterwards, or NULL for an unknown id. Only an active one changes.
CREATE OR REPLACE FUNCTION public.vigilbase_acknowledge_alert_v1(p_id uuid)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_alert public.alert_events;
BEGIN
    PERFORM public.vigilbase_lock_service_v1(a.service_name) FROM public.alert_events AS a WHERE a.id = p_id;
    UPDATE public.alert_events AS a
    SET status = 'acknowledged', acknowledged_at = clock_timestamp()
    WHERE a.id = p_id AND a.status = 'active';
    SELECT a.* INTO v_alert FROM public.alert_events AS a WHERE a.id = p_id;
    RETURN CASE WHEN FOUND THEN row_to_json(v_alert) END;
END;
$$;

-- The alert as it stands afterwards, or NULL for an unknown id. A resolved one stays as it is.
CREATE OR REPLACE FUNCTION public.vigilbase_resolve_alert_v1(p_id uuid)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_alert public.alert_events;
BEGIN
    PERFORM public.vigilbase_lock_service_v1(a.service_name) FROM public.alert_events AS a WHERE a.id = p_id;
    UPDATE public.alert_events AS a
    SET status = 'resolved', resolved_at = clock_timestamp()
    WHERE a.id = p_id AND a.status <> 'resolved';
    SELECT a.* INTO v_alert FROM public.alert_events AS a WHERE a.id = p_id;
    RETURN CASE WHEN FOUND THEN row_to_json(v_alert) END;
END;
$$;

-- The alerts in any of the given statuses (a JSON array), of one service or of all, newest first.
CREATE OR REPLACE FUNCTION public.vigilbase_list_alerts_v1(p_statuses text, p_service_name text DEFAULT NULL)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
    SELECT coalesce(
        json_agg(row_to_json(a) ORDER BY a.created_at DESC NULLS LAST, a.id DESC), '[]'
    )
    FROM public.alert_events AS a
    WHERE a.status IN (SELECT json_array_elements_text(p_statuses::json))
      AND (p_service_name IS NULL OR a.service_name = p_service_name)
$$;

-- The newest alert of a service and type that is at most p_within_minutes old, or NULL.
CREATE OR REPLACE FUNCTION public.vigilbase_recent_alert_v1(
    p_service_name text, p_alert_type text, p_within_minutes integer
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
    SELECT row_to_json(a)
    FROM public.alert_events AS a
    WHERE a.service_name = p_service_name
      AND a.alert_type = p_alert_type
      AND a.created_at >= clock_timestamp() - make_interval(mins => p_within_minutes)
    ORDER BY a.created_at DESC, a.id DESC
    LIMIT 1
$$;

-- As vigilbase_delete_health_checks_v1; with p_keep_open, alerts that are not resolved are spared.
CREATE OR REPLACE FUNCTION public.vigilbase_delete_alerts_v1(
    p_days integer,
    p_limit integer,
    p_keep_open boolean DEFAULT false,
    p_before timestamptz DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_before timestamptz := coalesce(p_before, now() - make_interval(days => p_days));
    v_count integer;
BEGIN
    DELETE FROM public.alert_events
    WHERE id IN (
        SELECT a.id FROM public.alert_events AS a
        WHERE a.created_at < v_before AND (NOT p_keep_open OR a.status = 'resolved')
        LIMIT p_limit
    );
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN json_build_object('deleted', v_count, 'before', v_before);
END;
$$;

-- Privileges. A Supabase project's own defaults have changed over the years, from everything for everybody to nothing
-- at all; so everything is taken back first and what is needed is given, and every project ends up the same.
DO $$
DECLARE
    v_tables CONSTANT text := 'public.service_health_checks, public.alert_events';
    v_functions CONSTANT text := 'public.vigilbase_access_v1(),
        public.vigilbase_insert_health_checks_v1(text),
        public.vigilbase_latest_health_checks_v1(),
        public.vigilbase_list_health_checks_v1(integer, text, timestamptz, uuid),
        public.vigilbase_delete_health_checks_v1(integer, integer, timestamptz),
        public.vigilbase_lock_service_v1(text),
        public.vigilbase_create_alert_v1(text, text, text, text, text),
        public.vigilbase_raise_alert_v1(text, text, text, text, integer),
        public.vigilbase_acknowledge_alert_v1(uuid),
        public.vigilbase_resolve_alert_v1(uuid),
        public.vigilbase_list_alerts_v1(text, text),
        public.vigilbase_recent_alert_v1(text, text, integer),
        public.vigilbase_delete_alerts_v1(integer, integer, boolean, timestamptz)';
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
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO service_role', v_tables);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO service_role', v_functions);
    END IF;
END;
$$;
