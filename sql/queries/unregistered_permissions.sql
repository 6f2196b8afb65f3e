-- Permissions that policies name, with the policy; the catalogue is compared by the caller. Constants only: one
-- name, an array written as a literal, or ARRAY[...].
WITH calls (policy, arguments) AS (
    SELECT pg_catalog.format('%s on %s', p.polname, p.polrelid::pg_catalog.regclass), m[1]
      FROM pg_catalog.pg_policy p,
           LATERAL (VALUES (pg_catalog.pg_get_expr(p.polqual, p.polrelid)),
                           (pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))) e (expression),
           LATERAL pg_catalog.regexp_matches(e.expression,
               '(?:has_permission|tenant_ids_with|has_any_permission|has_all_permissions)\(([^()]*)\)', 'g') m
)
SELECT c.policy, m[1]
  FROM calls c, LATERAL pg_catalog.regexp_matches(c.arguments, '''([^'']+)''::text(?!\[)', 'g') m
UNION
SELECT c.policy, pg_catalog.btrim(name, ' "')
  FROM calls c, LATERAL pg_catalog.regexp_matches(c.arguments, '''\{([^}'']*)\}''::text\[\]', 'g') m,
       LATERAL pg_catalog.string_to_table(m[1], ',') name
 ORDER BY 1, 2
