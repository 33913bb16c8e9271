-- 015_keep_alerts.sql
-- Created: 2026-11-25 18:22
--
-- Alerts: opened, acknowledged and resolved, with a timeline.

-- Adds an entry to an alert's timeline.
CREATE OR REPLACE FUNCTION vigilbase.add_timeline_entry(
    p_service_name text, p_alert_id uuid, p_event text, p_author text DEFAULT NULL, p_comment text DEFAULT NULL,
    p_details jsonb DEFAULT NULL
)
RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO vigilbase.alert_timeline (service_name, alert_id, event, author, comment, details)
    VALUES (p_service_name, p_alert_id, p_event, p_author, p_comment, p_details)
$$;

-- Applies a transition to a service that the caller has locked, whatever another runner did in the meantime: opens and
-- resolves alerts, writes recoveries, and enqueues notifications. p_transition: {"service_name", "to": "healthy" |
-- "degraded" | "down", "opening", "recovery", "routes", "tags"}: opening and recovery are {"message", "details"} or
-- null; for routes and tags see vigilbase.enqueue_alert. Returns {"service_name", "to", "outcome", "opened",
-- "recovery"}: outcome is "opened", "recovered", "already_open" or "not_open"; the last two are alert events or null.
CREATE OR REPLACE FUNCTION vigilbase.apply_transition(p_transition jsonb)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    v_name CONSTANT text := p_transition ->> 'service_name';
    v_target CONSTANT text := p_transition ->> 'to';
    v_type CONSTANT text := CASE v_target WHEN 'down' THEN 'service_down' WHEN 'degraded' THEN 'service_degraded' END;
    v_current public.alert_events;
    v_current_type text;
    v_now timestamptz;
    v_opened public.alert_events;
    v_recovery public.alert_events;
BEGIN
    v_current := vigilbase.find_current_alert(v_name);
    v_current_type := nullif(v_current.alert_type, 'recovery');
    IF v_current_type IS NOT DISTINCT FROM v_type THEN
        RETURN json_build_object(
            'service_name', v_name, 'to', v_target, 'opened', NULL, 'recovery', NULL,
            'outcome', CASE WHEN v_type IS NULL THEN 'not_open' ELSE 'already_open' END
        );
    END IF;

    -- Later than the current alert even if the clock was set back, so that the newest stays the newest.
    v_now := greatest(clock_timestamp(), v_current.created_at + interval '1 microsecond');
    -- From down, any better status is a recovery; from degraded, only healthy is.
    IF v_current_type IS NOT NULL AND v_target <> 'down' THEN
        v_recovery := vigilbase.write_recovery(v_current, p_transition, v_now);
    END IF;
    IF v_type IS NOT NULL THEN
        v_opened := vigilbase.open_alert(
            v_name, v_type, p_transition -> 'opening', v_now + interval '1 microsecond'
        );
    END IF;
    PERFORM vigilbase.resolve_alerts(p_transition, v_type, v_opened.id, v_recovery.details, v_now);
    IF v_opened.id IS NOT NULL THEN
        PERFORM vigilbase.enqueue_alert(v_opened, p_transition -> 'routes', p_transition -> 'tags');
    END IF;
    RETURN json_build_object(
        'service_name', v_name, 'to', v_target,
        'outcome', CASE WHEN v_recovery.id IS NOT NULL THEN 'recovered' ELSE 'opened' END,
        'opened', CASE WHEN v_opened.id IS NOT NULL THEN row_to_json(v_opened) END,
        'recovery', CASE WHEN v_recovery.id IS NOT NULL THEN row_to_json(v_recovery) END
    );
END;
$$;

-- The service of an alert, or NULL for an unknown id. This is the only lookup by id alone; all later queries name the
-- service.
CREATE OR REPLACE FUNCTION vigilbase.find_alert_service(p_alert_id uuid)
RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT a.service_name FROM public.alert_events AS a WHERE a.id = p_alert_id
$$;

-- The judge's alert that sets a service's current status: an open one, else the newest; a recovery means healthy.
CREATE OR REPLACE FUNCTION vigilbase.find_current_alert(p_service_name text)
RETURNS public.alert_events
LANGUAGE sql STABLE
AS $$
    SELECT a.* FROM public.alert_events AS a
    WHERE a.service_name = p_service_name AND a.details ->> 'source' = 'judge'
      AND a.alert_type IN ('service_down', 'service_degraded', 'recovery')
    ORDER BY a.status = 'resolved', a.created_at DESC NULLS LAST, a.id DESC
    LIMIT 1
$$;

-- Acknowledges or resolves (p_status) an alert manually, notifies the channels that know of it, and records the author
-- and a comment in its timeline; if it already has that status, records the comment alone. Returns the resulting alert,
-- or NULL for an unknown id. An acknowledged alert can only be resolved; a resolved alert stays as it is.
CREATE OR REPLACE FUNCTION vigilbase.move_alert(p_id uuid, p_status text, p_author text, p_comment text)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    v_name CONSTANT text := vigilbase.find_alert_service(p_id);
    v_now timestamptz;
    v_has_changed boolean;
    v_alert public.alert_events;
BEGIN
    IF v_name IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM vigilbase.lock_service(v_name);
    v_now := clock_timestamp();
    UPDATE public.alert_events AS a
    SET status = p_status,
        acknowledged_at = CASE p_status WHEN 'acknowledged' THEN v_now ELSE a.acknowledged_at END,
        resolved_at = CASE p_status WHEN 'resolved' THEN v_now ELSE a.resolved_at END
    WHERE a.service_name = v_name AND a.id = p_id AND a.status <> 'resolved' AND a.status <> p_status;
    v_has_changed := FOUND;
    SELECT a.* INTO v_alert FROM public.alert_events AS a WHERE a.service_name = v_name AND a.id = p_id;
    IF v_has_changed THEN
        PERFORM vigilbase.add_timeline_entry(v_name, p_id, p_status, p_author, p_comment);
        PERFORM vigilbase.enqueue_follow_up(v_name, p_id, p_status);
    ELSIF v_alert.status = p_status AND p_comment IS NOT NULL THEN
        PERFORM vigilbase.add_timeline_entry(v_name, p_id, 'commented', p_author, p_comment);
    END IF;
    RETURN CASE WHEN v_alert.id IS NOT NULL THEN row_to_json(v_alert) END;
END;
$$;

-- Opens the judge's alert of a type for a service, or takes over the open one that other code raised, since a service
-- has one open alert of a type. An alert with a rule in its details belongs to other code.
CREATE OR REPLACE FUNCTION vigilbase.open_alert(
    p_service_name text, p_alert_type text, p_content jsonb, p_at timestamptz
)
RETURNS public.alert_events
LANGUAGE plpgsql
AS $$
DECLARE
    v_details CONSTANT jsonb := (p_content -> 'details') || '{"source": "judge"}';
    v_opened public.alert_events;
    v_event text := 'taken_over';
BEGIN
    UPDATE public.alert_events AS a
    SET details = CASE WHEN jsonb_typeof(a.details) = 'object' THEN a.details ELSE '{}' END || v_details
    WHERE a.service_name = p_service_name AND a.status <> 'resolved' AND a.id = (
        SELECT o.id FROM public.alert_events AS o
        WHERE o.service_name = p_service_name AND o.alert_type = p_alert_type AND o.status <> 'resolved'
          AND (o.details ->> 'rule') IS NULL
        ORDER BY o.created_at DESC NULLS LAST, o.id DESC
        LIMIT 1
    )
    RETURNING a.* INTO v_opened;
    IF NOT FOUND THEN
        v_event := 'opened';
        INSERT INTO public.alert_events AS a (service_name, alert_type, status, message, details, created_at)
        VALUES (p_service_name, p_alert_type, 'active', p_content ->> 'message', v_details, p_at)
        RETURNING a.* INTO v_opened;
    END IF;
    PERFORM vigilbase.add_timeline_entry(
        p_service_name, v_opened.id, v_event,
        p_details => jsonb_build_object('reason', p_content #> '{details,reason}')
    );
    RETURN v_opened;
END;
$$;

-- An alert event, or NULL.
CREATE OR REPLACE FUNCTION vigilbase.read_alert(p_service_name text, p_alert_id uuid)
RETURNS public.alert_events
LANGUAGE sql STABLE
AS $$
    SELECT a.* FROM public.alert_events AS a WHERE a.service_name = p_service_name AND a.id = p_alert_id
$$;

-- Resolves the open alerts of a service that a transition ends: all but those of the type that it opens (p_kept_type)
-- and those with a rule, which belong to other code. Their details get the recovery's recovered_to and recovered_at, or
-- the id of the alert that supersedes them.
CREATE OR REPLACE FUNCTION vigilbase.resolve_alerts(
    p_transition jsonb, p_kept_type text, p_opened_id uuid, p_recovery_details jsonb, p_now timestamptz
)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_name CONSTANT text := p_transition ->> 'service_name';
    v_reason CONSTANT jsonb :=
        coalesce(nullif(p_transition -> 'recovery', 'null'), p_transition -> 'opening') #> '{details,reason}';
    v_is_superseded CONSTANT boolean := p_transition ->> 'to' = 'down';
    v_added CONSTANT jsonb := CASE
        WHEN v_is_superseded THEN jsonb_build_object('superseded_by', p_opened_id)
        WHEN p_recovery_details -> 'recovered_to' IS NOT NULL THEN jsonb_build_object(
            'recovered_to', p_recovery_details -> 'recovered_to', 'recovered_at', p_recovery_details -> 'recovered_at'
        )
        ELSE '{}'
    END;
    v_alert record;
BEGIN
    FOR v_alert IN
        UPDATE public.alert_events AS a
        SET status = 'resolved', resolved_at = p_now, details = CASE
            WHEN jsonb_typeof(a.details) = 'object' THEN a.details || v_added
            WHEN v_is_superseded THEN v_added
            ELSE a.details
        END
        WHERE a.service_name = v_name AND a.alert_type IN ('service_down', 'service_degraded')
          AND a.alert_type IS DISTINCT FROM p_kept_type AND a.status <> 'resolved' AND (a.details ->> 'rule') IS NULL
        RETURNING a.id
    LOOP
        PERFORM vigilbase.add_timeline_entry(
            v_name, v_alert.id, 'resolved', p_details => jsonb_build_object('reason', v_reason)
        );
        PERFORM vigilbase.enqueue_follow_up(v_name, v_alert.id, 'resolved');
    END LOOP;
END;
$$;

-- Inserts the recovery from the judge's current alert, and returns it.
CREATE OR REPLACE FUNCTION vigilbase.write_recovery(
    p_current public.alert_events, p_transition jsonb, p_now timestamptz
)
RETURNS public.alert_events
LANGUAGE plpgsql
AS $$
DECLARE
    v_content CONSTANT jsonb := coalesce(nullif(p_transition -> 'recovery', 'null'), p_transition -> 'opening');
    v_recovery public.alert_events;
BEGIN
    INSERT INTO public.alert_events AS a (service_name, alert_type, status, message, details, created_at, resolved_at)
    VALUES (
        p_current.service_name, 'recovery', 'resolved', v_content ->> 'message',
        (v_content -> 'details') || jsonb_build_object('source', 'judge', 'resolves', p_current.id), p_now, p_now
    )
    RETURNING a.* INTO v_recovery;
    RETURN v_recovery;
END;
$$;

-- Acknowledges an active alert, notifies the channels that know of it, and records the author and a comment in its
-- timeline. Returns the resulting alert, even if already acknowledged or resolved, or NULL for an unknown id.
CREATE OR REPLACE FUNCTION public.vigilbase_acknowledge_alert(
    p_id uuid, p_author text DEFAULT NULL, p_comment text DEFAULT NULL
)
RETURNS json
LANGUAGE sql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT vigilbase.move_alert(p_id, 'acknowledged', p_author, p_comment)
$$;

-- Inserts an alert event as given, even if a similar one exists; the database's clock sets acknowledged_at or
-- resolved_at. Returns it, or NULL if a trigger of the host has discarded it.
CREATE OR REPLACE FUNCTION public.vigilbase_create_alert(
    p_service_name text, p_alert_type text, p_status text, p_message text, p_details text
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_alert public.alert_events;
BEGIN
    PERFORM vigilbase.lock_service(p_service_name);
    INSERT INTO public.alert_events AS a
        (service_name, alert_type, status, message, details, acknowledged_at, resolved_at)
    VALUES (
        p_service_name, p_alert_type, p_status, p_message, p_details::jsonb,
        CASE WHEN p_status = 'acknowledged' THEN now() END,
        CASE WHEN p_status = 'resolved' THEN now() END
    )
    RETURNING a.* INTO v_alert;
    RETURN CASE WHEN v_alert.id IS NOT NULL THEN row_to_json(v_alert) END;
END;
$$;

-- Deletes up to p_limit alerts created before a time, and returns how many and that time: {"deleted", "before"}. The
-- first call of a pass omits p_before; later calls repeat the returned one, so that a pass has a fixed end. With
-- p_keep_open, keeps alerts that are not resolved, and those whose resolution is still to be sent: it is pending or has
-- failed, or the outbox does not know yet that the alert is resolved.
CREATE OR REPLACE FUNCTION public.vigilbase_delete_alerts(
    p_days integer, p_limit integer, p_keep_open boolean DEFAULT false, p_before timestamptz DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    v_before CONSTANT timestamptz := coalesce(p_before, now() - make_interval(days => p_days));
    v_kept uuid[] := '{}'; -- a constant to the planner, so it looks them up by hash
    v_count integer;
BEGIN
    IF p_keep_open THEN
        v_kept := ARRAY(
            SELECT DISTINCT n.alert_id FROM vigilbase.notifications AS n
            WHERE n.alert_status <> 'resolved' OR (n.kind = 'resolved' AND n.status IN ('pending', 'failed'))
        );
    END IF;
    DELETE FROM public.alert_events WHERE id = ANY (ARRAY(
        SELECT a.id FROM public.alert_events AS a
        WHERE a.created_at < v_before AND (NOT p_keep_open OR a.status = 'resolved') AND NOT a.id = ANY (v_kept)
        ORDER BY a.created_at
        LIMIT p_limit
    ));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN json_build_object('deleted', v_count, 'before', v_before);
END;
$$;

-- The newest alert of a service and type that was created in the last p_within_minutes, or NULL.
CREATE OR REPLACE FUNCTION public.vigilbase_find_recent_alert(
    p_service_name text, p_alert_type text, p_within_minutes integer
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT row_to_json(a) FROM public.alert_events AS a
    WHERE a.service_name = p_service_name AND a.alert_type = p_alert_type
      AND a.created_at BETWEEN now() - make_interval(mins => p_within_minutes) AND vigilbase.future_begins_at(now())
    ORDER BY a.created_at DESC NULLS LAST, a.id DESC
    LIMIT 1
$$;

-- Alerts with any of the given statuses (a JSON array), or with any at all (NULL), newest first, at most p_limit: of
-- one service or of all, except those that were resolved before p_since.
CREATE OR REPLACE FUNCTION public.vigilbase_list_alerts(
    p_statuses text, p_service_name text DEFAULT NULL, p_since timestamptz DEFAULT NULL, p_limit integer DEFAULT NULL
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT coalesce(json_agg(row_to_json(newest) ORDER BY newest.created_at DESC NULLS LAST, newest.id DESC), '[]')
    FROM (
        SELECT a.* FROM public.alert_events AS a
        WHERE (p_statuses IS NULL OR a.status = ANY (ARRAY(SELECT json_array_elements_text(p_statuses::json))))
          AND (p_service_name IS NULL OR a.service_name = p_service_name)
          AND (p_since IS NULL OR a.status <> 'resolved' OR coalesce(a.resolved_at, a.created_at) >= p_since)
        ORDER BY a.created_at DESC NULLS LAST, a.id DESC
        LIMIT p_limit
    ) AS newest
$$;

-- An alert's timeline, oldest entry first.
CREATE OR REPLACE FUNCTION public.vigilbase_list_timeline(p_alert_id uuid)
RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_name CONSTANT text := vigilbase.find_alert_service(p_alert_id);
BEGIN
    RETURN (
        SELECT coalesce(json_agg(row_to_json(t) ORDER BY t.id), '[]')
        FROM vigilbase.alert_timeline AS t
        WHERE t.service_name = v_name AND t.alert_id = p_alert_id
    );
END;
$$;

-- The open alert of a service, type and details.rule, else the newest of the last p_within_minutes, else a new one:
-- {"alert", "is_new"}. Of concurrent callers, only one creates it.
CREATE OR REPLACE FUNCTION public.vigilbase_raise_alert(
    p_service_name text, p_alert_type text, p_message text, p_details text, p_within_minutes integer DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_alert public.alert_events;
    v_now timestamptz;
BEGIN
    PERFORM vigilbase.lock_service(p_service_name);
    v_now := clock_timestamp();
    SELECT a.* INTO v_alert
    FROM public.alert_events AS a
    WHERE a.service_name = p_service_name
      AND a.alert_type = p_alert_type
      AND (a.details ->> 'rule') IS NOT DISTINCT FROM (p_details::jsonb ->> 'rule')
      AND (a.status <> 'resolved'
           OR a.created_at BETWEEN v_now - make_interval(mins => p_within_minutes)
              AND vigilbase.future_begins_at(v_now))
    ORDER BY a.status = 'resolved', a.created_at DESC NULLS LAST, a.id DESC
    LIMIT 1;
    IF FOUND THEN
        RETURN json_build_object('alert', v_alert, 'is_new', false);
    END IF;
    RETURN json_build_object(
        'alert', public.vigilbase_create_alert(p_service_name, p_alert_type, 'active', p_message, p_details),
        'is_new', true
    );
END;
$$;

-- Resolves an open alert, notifies the channels that know of it, and records the author and a comment in its timeline.
-- Returns the resulting alert, or NULL for an unknown id.
CREATE OR REPLACE FUNCTION public.vigilbase_resolve_alert(
    p_id uuid, p_author text DEFAULT NULL, p_comment text DEFAULT NULL
)
RETURNS json
LANGUAGE sql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT vigilbase.move_alert(p_id, 'resolved', p_author, p_comment)
$$;
