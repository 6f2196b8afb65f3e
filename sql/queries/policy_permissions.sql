-- What policies pass to the functions that ask for permissions, with the policy; the caller picks out the names. No
-- more is done here, or the planner's guess of the rows would have the query compiled (JIT) at half a second.
SELECT pg_catalog.format('%s on %s', p.polname, p.polrelid::pg_catalog.regclass), m[1]
  FROM pg_catalog.pg_policy p,
       LATERAL (VALUES (pg_catalog.pg_get_expr(p.polqual, p.polrelid)),
                       (pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))) e (expression),
       -- A varchar column is cast, in parentheses; a tenant may be a literal, where one is passed.
       LATERAL pg_catalog.regexp_matches(pg_catalog.regexp_replace(e.expression, '\(([^()]*)\)::text', '\1', 'g'),
           '(?:(?:has_permission|has_any_permission|has_all_permissions)\((?:''[^'']*''::text, )?|tenant_ids_with\(|has_permission_by_name\((?!''all''))([^()]*)\)', 'g') m
