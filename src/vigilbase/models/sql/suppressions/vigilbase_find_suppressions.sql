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
