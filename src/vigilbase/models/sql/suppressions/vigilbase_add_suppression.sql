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
