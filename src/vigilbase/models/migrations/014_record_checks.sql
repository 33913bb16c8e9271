-- 014_record_checks.sql
-- Created: 2026-11-25 18:22
--
-- Services, their checks, and the runners that probe them.

-- Adds the rows that these services lack. Costs one index lookup each, and touches no existing row.
CREATE OR REPLACE FUNCTION vigilbase.add_services(p_service_names text[])
RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO vigilbase.services (service_name)
    SELECT n.name FROM unnest(p_service_names) AS n (name) GROUP BY n.name ORDER BY n.name COLLATE "C"
    ON CONFLICT (service_name) DO NOTHING
$$;

-- Adds a row for every service that has checks but no row, since any client may insert checks. Each iteration is one
-- index step, from a service to the first entry of the next, so the cost grows with the number of services, not with
-- their history.
CREATE OR REPLACE FUNCTION vigilbase.discover_services()
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_name text := '';
    v_names text[] := '{}';
BEGIN
    LOOP
        SELECT c.service_name INTO v_name FROM public.service_health_checks AS c
        WHERE c.service_name > v_name ORDER BY c.service_name LIMIT 1;
        EXIT WHEN NOT FOUND;
        v_names := array_append(v_names, v_name);
    END LOOP;
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN;
    END IF;
    INSERT INTO vigilbase.services (service_name)
    SELECT unknown.service_name FROM (
        SELECT n.name FROM unnest(v_names) AS n (name) EXCEPT SELECT s.service_name FROM vigilbase.services AS s
    ) AS unknown (service_name)
    ORDER BY unknown.service_name COLLATE "C"
    ON CONFLICT (service_name) DO NOTHING;
END;
$$;

-- Locks a service until the transaction ends, and adds its row if it is missing. Every function that opens, changes or
-- closes an alert calls this first: one service a statement, several in the order of COLLATE "C". Because the row
-- changes, a transaction with a stale snapshot fails with 40001 instead of acting on what it can't see.
CREATE OR REPLACE FUNCTION vigilbase.lock_service(p_service_name text)
RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO vigilbase.services (service_name) VALUES (p_service_name)
    ON CONFLICT (service_name) DO UPDATE SET revision = services.revision + 1
$$;

-- Locks the services of some transitions, and adds those that a check is the first to name, all in one order, so that
-- two runners never deadlock.
CREATE OR REPLACE FUNCTION vigilbase.lock_services(p_checks json, p_transitions jsonb)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_service record;
BEGIN
    FOR v_service IN
        SELECT n.name, bool_or(n.has_transition) AS has_transition FROM (
            SELECT c ->> 'service_name', false FROM json_array_elements(p_checks) AS c
            UNION ALL
            SELECT t ->> 'service_name', true FROM jsonb_array_elements(p_transitions) AS t
        ) AS n (name, has_transition)
        GROUP BY n.name
        ORDER BY n.name COLLATE "C"
    LOOP
        IF v_service.has_transition
            OR NOT EXISTS (SELECT FROM vigilbase.services AS s WHERE s.service_name = v_service.name)
        THEN
            PERFORM vigilbase.lock_service(v_service.name);
        END IF;
    END LOOP;
END;
$$;

-- Removes a stopped runner.
CREATE OR REPLACE FUNCTION public.vigilbase_end_runner(p_runner_id uuid)
RETURNS void
LANGUAGE sql
SET search_path = '' SET default_transaction_isolation = 'read committed'
AS $$
    DELETE FROM vigilbase.runners AS r WHERE r.runner_id = p_runner_id
$$;

-- Records that a runner is active. Also deletes those that have not been seen for a day.
CREATE OR REPLACE FUNCTION public.vigilbase_save_runner(p_runner_id uuid, p_host text, p_pid integer)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
BEGIN
    INSERT INTO vigilbase.runners AS r (runner_id, host, pid) VALUES (p_runner_id, p_host, p_pid)
    ON CONFLICT (runner_id) DO UPDATE SET seen_at = clock_timestamp();
    DELETE FROM vigilbase.runners AS r WHERE r.seen_at < clock_timestamp() - interval '1 day';
END;
$$;

-- Saves the definitions of one owner, and marks its other services as removed. p_services: a JSON array of
-- {"service_name", "kind", "interval_s", "timeout_s", "tags": [...]}. Rows that already have these values are not
-- touched.
CREATE OR REPLACE FUNCTION public.vigilbase_save_services(p_services text, p_source text, p_owner text)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_name text;
BEGIN
    INSERT INTO vigilbase.services AS s (service_name, kind, interval_s, timeout_s, tags, source, owner)
    SELECT d.service_name, d.kind, d.interval_s, d.timeout_s, coalesce(d.tags, '[]'), p_source, p_owner
    FROM json_to_recordset(p_services::json) AS d (
        service_name text, kind text, interval_s double precision, timeout_s double precision, tags jsonb
    )
    ORDER BY d.service_name COLLATE "C"
    ON CONFLICT (service_name) DO UPDATE
    SET kind = excluded.kind, interval_s = excluded.interval_s, timeout_s = excluded.timeout_s, tags = excluded.tags,
        source = excluded.source, owner = excluded.owner, removed_at = NULL, revision = s.revision + 1
    WHERE (s.kind, s.interval_s, s.timeout_s, s.tags, s.source, s.owner, s.removed_at)
        IS DISTINCT FROM (
            excluded.kind, excluded.interval_s, excluded.timeout_s, excluded.tags, excluded.source, excluded.owner,
            NULL::timestamptz
        );
    FOR v_name IN
        SELECT s.service_name FROM vigilbase.services AS s
        WHERE s.source = p_source AND s.owner = p_owner AND s.removed_at IS NULL AND NOT s.service_name = ANY (ARRAY(
            SELECT d ->> 'service_name' FROM json_array_elements(p_services::json) AS d
        ))
        ORDER BY s.service_name COLLATE "C"
    LOOP
        UPDATE vigilbase.services AS s SET removed_at = clock_timestamp(), revision = s.revision + 1
        WHERE s.service_name = v_name AND s.owner = p_owner;
    END LOOP;
END;
$$;

-- Saves facts about probed hosts. p_targets: a JSON object with an object for each service name. This is a separate
-- transaction, since an ordinary check changes no service.
CREATE OR REPLACE FUNCTION public.vigilbase_save_targets(p_targets text)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_target record;
BEGIN
    FOR v_target IN
        SELECT t.key AS service_name, t.value AS target FROM json_each(p_targets::json) AS t ORDER BY t.key COLLATE "C"
    LOOP
        INSERT INTO vigilbase.services AS s (service_name, target)
        VALUES (v_target.service_name, v_target.target::jsonb)
        ON CONFLICT (service_name) DO UPDATE SET target = excluded.target;
    END LOOP;
END;
$$;

-- After this, a time is in the future: clocks never quite agree, so a second is allowed. Other code may write any time,
-- and a row from the future must not hide those of today.
CREATE OR REPLACE FUNCTION vigilbase.future_begins_at(p_now timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p_now + interval '1 second';
END;

-- Whether a check's status is one of ours. A host may have dropped the constraint that ensures it.
CREATE OR REPLACE FUNCTION vigilbase.is_status(p_status text)
RETURNS boolean
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT p_status IS NOT NULL AND p_status IN ('healthy', 'degraded', 'down');
END;

-- A probe's phases in milliseconds by name, such as {"dns_ms": 1.2, ...}, from the compact text that a check stores:
-- values by position, "-" for a phase that did not occur. NULL if there are none. Returns an object unchanged.
CREATE OR REPLACE FUNCTION vigilbase.phases(p_probe_details jsonb)
RETURNS jsonb
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT CASE
        WHEN jsonb_typeof(p_probe_details -> 'phases') = 'object' THEN p_probe_details -> 'phases'
        WHEN jsonb_typeof(p_probe_details -> 'phases') = 'string' AND p_probe_details ->> 'phases'
            ~ '^((-|(0|[1-9][0-9]{0,7})(\.[1-9])?) ){0,6}(0|[1-9][0-9]{0,7})(\.[1-9])?$'
        THEN (
            SELECT jsonb_object_agg(n.name || '_ms', v.value::numeric)
            FROM unnest(ARRAY['dns', 'connect', 'tls', 'first_byte', 'transfer', 'query', 'ping'])
                WITH ORDINALITY AS n (name, place)
            JOIN unnest(string_to_array(p_probe_details ->> 'phases', ' ')) WITH ORDINALITY AS v (value, place)
                ON v.place = n.place AND v.value <> '-'
        )
    END;
END;

-- Writes a runner's checks, a JSON array, each with its own id; a check that is already stored stays as it is. A check
-- from the future (clocks never quite agree) gets the time p_now; checked_at_was keeps its own. Returns how many are
-- new.
CREATE OR REPLACE FUNCTION vigilbase.write_checks(p_checks json, p_now timestamptz)
RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    v_future CONSTANT timestamptz := vigilbase.future_begins_at(p_now);
    v_count integer;
BEGIN
    WITH written AS (
        INSERT INTO public.service_health_checks
            (id, service_name, status, latency_ms, checked_at, error_message, probe_details)
        SELECT c.id, c.service_name, c.status, c.latency_ms,
            CASE WHEN c.checked_at > v_future THEN p_now ELSE c.checked_at END, c.error_message,
            CASE
                WHEN c.checked_at > v_future
                THEN coalesce(c.probe_details, '{}') || jsonb_build_object('checked_at_was', c.checked_at)
                ELSE c.probe_details
            END
        FROM json_to_recordset(p_checks) AS c (
            id uuid, service_name text, status text, latency_ms integer, checked_at timestamptz, error_message text,
            probe_details jsonb
        )
        ON CONFLICT ON CONSTRAINT service_health_checks_pkey DO NOTHING
        RETURNING service_name
    )
    SELECT count(*) INTO v_count FROM written AS w;
    RETURN v_count;
END;
$$;

-- Writes one check, a JSON object, and returns the stored row, or NULL if a trigger of the host has discarded it.
-- Without checked_at, the check gets the current time.
CREATE OR REPLACE FUNCTION public.vigilbase_create_health_check(p_check text)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_check public.service_health_checks;
BEGIN
    INSERT INTO public.service_health_checks AS c
        (id, service_name, status, latency_ms, checked_at, error_message, probe_details)
    SELECT coalesce(g.id, gen_random_uuid()), g.service_name, g.status, g.latency_ms,
        coalesce(g.checked_at, now()), g.error_message, g.probe_details
    FROM json_to_record(p_check::json) AS g (
        id uuid, service_name text, status text, latency_ms integer, checked_at timestamptz, error_message text,
        probe_details jsonb
    )
    RETURNING c.* INTO v_check;
    IF v_check.id IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM vigilbase.add_services(ARRAY[v_check.service_name::text]);
    RETURN row_to_json(v_check);
END;
$$;

-- Writes several checks, a JSON array, all or none. Those without checked_at get the current time. Returns how many.
CREATE OR REPLACE FUNCTION public.vigilbase_create_health_checks(p_checks text)
RETURNS integer
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_count integer;
    v_names text[];
BEGIN
    WITH written AS (
        INSERT INTO public.service_health_checks
            (id, service_name, status, latency_ms, checked_at, error_message, probe_details)
        SELECT coalesce(c.id, gen_random_uuid()), c.service_name, c.status, c.latency_ms,
            coalesce(c.checked_at, now()), c.error_message, c.probe_details
        FROM json_to_recordset(p_checks::json) AS c (
            id uuid, service_name text, status text, latency_ms integer, checked_at timestamptz, error_message text,
            probe_details jsonb
        )
        RETURNING service_name
    )
    SELECT count(*), array_agg(DISTINCT w.service_name) INTO v_count, v_names FROM written AS w;
    PERFORM vigilbase.add_services(v_names);
    RETURN v_count;
END;
$$;

-- Deletes up to p_limit checks created before a time, and returns how many and that time: {"deleted", "before"}. The
-- first call of a pass omits p_before; later calls repeat the returned one, so that a pass has a fixed end.
CREATE OR REPLACE FUNCTION public.vigilbase_delete_health_checks(
    p_days integer, p_limit integer, p_before timestamptz DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_before timestamptz := coalesce(p_before, now() - make_interval(days => p_days));
    v_count integer;
BEGIN
    -- Only by an array of ids: with stale statistics, IN with a LIMIT becomes a quadratic join, and a second condition
    -- on created_at makes the array a filter that is searched for every old row.
    DELETE FROM public.service_health_checks WHERE id = ANY (ARRAY(
        SELECT c.id FROM public.service_health_checks AS c
        WHERE c.created_at < v_before ORDER BY c.created_at LIMIT p_limit
    ));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN json_build_object('deleted', v_count, 'before', v_before);
END;
$$;

-- The checks of a service since a time, except those from the future: the newest p_limit with a status that is ours,
-- newest first by checked_at, and the number of all by status: {"checks": [...], "counts": {"healthy": 9, "down": 1}}.
CREATE OR REPLACE FUNCTION public.vigilbase_find_check_history(
    p_service_name text, p_since timestamptz, p_limit integer
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT json_build_object(
        'checks', (
            SELECT coalesce(json_agg(row_to_json(recent) ORDER BY recent.checked_at DESC, recent.id DESC), '[]')
            FROM (
                SELECT c.* FROM public.service_health_checks AS c
                WHERE c.service_name = p_service_name
                  AND c.checked_at BETWEEN p_since AND vigilbase.future_begins_at(now())
                  AND vigilbase.is_status(c.status)
                ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
                LIMIT p_limit
            ) AS recent
        ),
        'counts', (
            SELECT coalesce(json_object_agg(counted.status, counted.count), '{}')
            FROM (
                SELECT coalesce(c.status, '') AS status, count(*) AS count FROM public.service_health_checks AS c
                WHERE c.service_name = p_service_name
                  AND c.checked_at BETWEEN p_since AND vigilbase.future_begins_at(now())
                GROUP BY c.status
            ) AS counted
        )
    )
$$;

-- The newest check of a service by checked_at, ties by id: an array of it and, if its status isn't one of ours, the
-- newest with one that is, of the last 100; null where there is none. Checks from the future, and those without a time,
-- count only if there are no others.
CREATE OR REPLACE FUNCTION public.vigilbase_find_latest_health_check(p_service_name text)
RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_future CONSTANT timestamptz := vigilbase.future_begins_at(now());
    v_newest json;
    v_readable json;
    v_is_readable boolean;
BEGIN
    SELECT row_to_json(c), vigilbase.is_status(c.status) INTO v_newest, v_is_readable
    FROM public.service_health_checks AS c
    WHERE c.service_name = p_service_name AND c.checked_at <= v_future
    ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
    LIMIT 1;
    IF NOT FOUND THEN
        SELECT row_to_json(c) INTO v_newest FROM public.service_health_checks AS c
        WHERE c.service_name = p_service_name
        ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
        LIMIT 1;
    ELSIF NOT v_is_readable THEN
        SELECT row_to_json(recent) INTO v_readable FROM (
            SELECT c.* FROM public.service_health_checks AS c
            WHERE c.service_name = p_service_name AND c.checked_at <= v_future
            ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
            LIMIT 100
        ) AS recent
        WHERE vigilbase.is_status(recent.status)
        ORDER BY recent.checked_at DESC NULLS LAST, recent.id DESC
        LIMIT 1;
    END IF;
    RETURN json_build_array(v_newest, v_readable);
END;
$$;

-- The newest check of every service, sorted by service: one array each, see vigilbase_find_latest_health_check. The
-- cost grows with the number of services, not with the length of their history. JIT is off, since compiling costs more
-- than running.
CREATE OR REPLACE FUNCTION public.vigilbase_find_latest_health_checks()
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET jit = off SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_future CONSTANT timestamptz := vigilbase.future_begins_at(now());
BEGIN
    PERFORM vigilbase.discover_services();
    RETURN (
        SELECT coalesce(json_agg(json_build_array(
            CASE WHEN n.id IS NULL THEN row_to_json(o) ELSE row_to_json(n) END, row_to_json(r)
        ) ORDER BY s.service_name) FILTER (WHERE n.id IS NOT NULL OR o.id IS NOT NULL), '[]')
        FROM vigilbase.services AS s
        LEFT JOIN LATERAL (
            SELECT c.* FROM public.service_health_checks AS c
            WHERE c.service_name = s.service_name AND c.checked_at <= v_future
            ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
            LIMIT 1
        ) AS n ON true
        LEFT JOIN LATERAL (
            SELECT recent.* FROM (
                SELECT c.* FROM public.service_health_checks AS c
                WHERE c.service_name = s.service_name AND c.checked_at <= v_future
                    AND n.id IS NOT NULL AND NOT vigilbase.is_status(n.status)
                ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
                LIMIT 100
            ) AS recent
            WHERE vigilbase.is_status(recent.status)
            ORDER BY recent.checked_at DESC NULLS LAST, recent.id DESC
            LIMIT 1
        ) AS r ON true
        LEFT JOIN LATERAL (
            SELECT c.* FROM public.service_health_checks AS c
            WHERE c.service_name = s.service_name AND n.id IS NULL
            ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
            LIMIT 1
        ) AS o ON true
    );
END;
$$;

-- The state of services: for each name in the JSON array p_service_names its last p_checks checks (newest first; none
-- from the future, which other code may write) and its current alert; and the database's clock.
CREATE OR REPLACE FUNCTION public.vigilbase_load_state(p_service_names text, p_checks integer)
RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_future CONSTANT timestamptz := vigilbase.future_begins_at(clock_timestamp());
    v_name text;
    v_checks json;
    v_alert public.alert_events;
    v_services json[] := '{}';
BEGIN
    FOR v_name IN SELECT json_array_elements_text(p_service_names::json) LOOP
        SELECT coalesce(json_agg(recent ORDER BY recent.checked_at DESC NULLS LAST, recent.id DESC), '[]') INTO v_checks
        FROM (
            SELECT c.id, c.status, c.checked_at, c.latency_ms, c.error_message FROM public.service_health_checks AS c
            WHERE c.service_name = v_name AND c.checked_at <= v_future
            ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
            LIMIT p_checks
        ) AS recent;
        v_alert := vigilbase.find_current_alert(v_name);
        v_services := array_append(v_services, json_build_object(
            'service_name', v_name, 'checks', v_checks,
            'alert', CASE WHEN v_alert.id IS NOT NULL THEN row_to_json(v_alert) END
        ));
    END LOOP;
    RETURN json_build_object('now', clock_timestamp(), 'services', array_to_json(v_services));
END;
$$;

-- Records checks in one transaction with the alerts that they open or resolve and the notifications about these.
-- p_checks: a JSON array, see vigilbase.write_checks; p_transitions: a JSON array, see vigilbase.apply_transition. A
-- call writes everything or nothing. If it has checks and none is new, an earlier call recorded them and their effects,
-- and this one changes nothing. Returns {"now": the database's clock, "written": a count, "transitions": one result
-- each, in the order of services}.
CREATE OR REPLACE FUNCTION public.vigilbase_record(p_checks text, p_transitions text)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_checks CONSTANT json := p_checks::json;
    v_transitions CONSTANT jsonb := p_transitions::jsonb;
    v_written integer;
    v_transition jsonb;
    v_results json[] := '{}';
BEGIN
    PERFORM vigilbase.lock_services(v_checks, v_transitions);
    v_written := vigilbase.write_checks(v_checks, clock_timestamp());
    IF v_written > 0 OR json_array_length(v_checks) = 0 THEN
        FOR v_transition IN
            SELECT t.item FROM jsonb_array_elements(v_transitions) WITH ORDINALITY AS t (item, place)
            ORDER BY (t.item ->> 'service_name') COLLATE "C", t.place
        LOOP
            v_results := array_append(v_results, vigilbase.apply_transition(v_transition));
        END LOOP;
    END IF;
    RETURN json_build_object(
        'now', clock_timestamp(), 'written', v_written, 'transitions', array_to_json(v_results)
    );
END;
$$;
