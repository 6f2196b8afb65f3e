-- Permissions that policies name, with the policy; the catalogue is compared by the caller. Constants only.
SELECT DISTINCT pg_catalog.format('%s on %s', p.polname, p.polrelid::pg_catalog.regclass), m[1]
  FROM pg_catalog.pg_policy p,
       LATERAL (VALUES (pg_catalog.pg_get_expr(p.polqual, p.polrelid)),
                       (pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))) e (expression),
       LATERAL pg_catalog.regexp_matches(e.expression, 'has_permission\((?:[^()'']*,\s*)?''([^'']+)''::text\)', 'g') m
 ORDER BY 1, 2
