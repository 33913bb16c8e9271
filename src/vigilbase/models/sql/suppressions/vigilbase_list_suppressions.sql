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
