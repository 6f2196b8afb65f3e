-- The script of a staged rollout, put together from what protect_steps finds still to be done.

CREATE FUNCTION tenancy.staged_steps(root regclass, options jsonb, backfill text, filling jsonb) RETURNS TABLE (lock text, statement text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant_column text := options ->> 'tenant_column';
    missing boolean := tenancy.column_number(root, tenant_column) IS NULL;
    root_name name := (SELECT c.relname FROM pg_class c WHERE c.oid = root);
    step record;
BEGIN
    RETURN QUERY
        SELECT 'none on the table', tenancy.staged_block(VARIADIC array_agg(r.statement ORDER BY r.n))
          FROM (SELECT -1, format('PERFORM tenancy.check_staged_again(%L, %L)', root, options)
                UNION ALL
                SELECT 0, s.statement FROM tenancy.protect_steps(root, options, backfill, NULL) s WHERE s.phase = 30
                UNION ALL
                SELECT 1 + c.depth, format('INSERT INTO tenancy.protected_tables AS p (table_id, root_id, options) VALUES (%L, %L, %L)'
                           ' ON CONFLICT (table_id) DO UPDATE SET root_id = excluded.root_id, options = excluded.options'
                           ' WHERE p.options ->> ''mode'' = ''observe''', c.relation, root, options || '{"mode": "observe"}')
                  FROM tenancy.covered_relations(root) c
                UNION ALL
                -- What comes to a child with its parent's.
                SELECT 1000000, tenancy.staged_note(s.relation, s.undo) FROM tenancy.protect_steps(root, options, backfill, NULL) s
                 WHERE s.phase BETWEEN 40 AND 109 AND s.statement IS NULL AND s.undo IS NOT NULL) r (n, statement);

    -- The column, its default, and what fills it in rows that come from now on. One transaction for each relation.
    FOR step IN
        WITH steps AS MATERIALIZED (
            SELECT s.* FROM tenancy.protect_steps(root, options, backfill, NULL) WITH ORDINALITY s (relation, phase, statement, undo, n)
             WHERE s.phase IN (40, 60)
        )
        SELECT c.relation,
               ARRAY(SELECT s.statement FROM steps s WHERE s.relation = c.relation AND s.phase = 40 ORDER BY s.n) AS added,
               ARRAY(SELECT s.statement FROM steps s WHERE s.relation = c.relation AND s.phase = 60 ORDER BY s.n) AS others,
               (SELECT jsonb_object_agg(u.key, u.value) FROM steps s, jsonb_each(s.undo) u WHERE s.relation = c.relation) AS undo,
               backfill IS NOT NULL AND c.place <> 'partition' AND NOT tenancy.column_is_filled(c.relation, tenant_column) AS fill
          FROM tenancy.covered_relations(root) c
         ORDER BY c.depth, c.relation::text COLLATE "C"
    LOOP
        CONTINUE WHEN step.added = '{}' AND step.others = '{}' AND NOT step.fill;
        RETURN QUERY VALUES
            (format('ACCESS EXCLUSIVE on %s, briefly', step.relation),
             tenancy.staged_block(VARIADIC
                 ARRAY[CASE WHEN step.undo IS NOT NULL THEN tenancy.staged_note(step.relation, step.undo) END]
                 || ARRAY(SELECT overlay(a PLACING ' ADD COLUMN IF NOT EXISTS ' FROM length('ALTER TABLE ' || step.relation::text) + 1 FOR length(' ADD COLUMN '))
                            FROM unnest(step.added) a)
                 || step.others
                 || CASE WHEN step.fill THEN ARRAY[
                        format('DROP TRIGGER IF EXISTS "~pg_tenancy_fill_tenant" ON %s', step.relation),
                        format('CREATE TRIGGER "~pg_tenancy_fill_tenant" BEFORE INSERT OR UPDATE ON %s FOR EACH ROW %s'
                               'EXECUTE FUNCTION tenancy.fill_tenant(%L, %L, %L, %L)', step.relation,
                               -- Rows that take the tenant of another row take it whatever they come with.
                               CASE WHEN options ->> 'backfill_from' IS NULL THEN format('WHEN (new.%I IS NULL) ', tenant_column) END,
                               tenant_column, filling ->> 'expression', root_name, filling ->> 'names')] ELSE '{}' END));
    END LOOP;

    -- A constant default has filled the rows of a column that is added.
    IF backfill IS NOT NULL AND NOT (missing AND backfill ~ tenancy.constant_pattern()) THEN
        RETURN QUERY
            SELECT format('ROW EXCLUSIVE on %s, and the rows of some pages, for some 20 to 40 ms at a time', c.relation),
                   tenancy.staged_fill(c.relation, tenant_column, backfill, root_name)
              FROM tenancy.covered_relations(root) c JOIN pg_class r ON r.oid = c.relation
             WHERE r.relkind = 'r' AND NOT tenancy.column_is_filled(c.relation, tenant_column)
             ORDER BY c.depth, c.relation::text COLLATE "C";
    END IF;

    FOR step IN
        SELECT s.* FROM tenancy.protect_steps(root, options, backfill, NULL) WITH ORDINALITY s (relation, phase, step, undo, n)
         WHERE s.phase IN (70, 80, 90) AND s.step NOT LIKE '% DROP NOT NULL'
         ORDER BY -s.phase, s.n
    LOOP
        IF step.phase = 90 THEN
            RETURN QUERY SELECT * FROM tenancy.staged_index(step.relation, tenant_column);
        ELSIF step.phase = 80 THEN
            RETURN QUERY SELECT * FROM tenancy.staged_foreign_key(step.relation, step.step, step.undo, options);
        ELSE
            RETURN QUERY SELECT * FROM tenancy.staged_not_null(step.relation, tenant_column, step.step, step.undo);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.staged_steps(regclass, jsonb, text, jsonb) IS 'Administrators only: all but the last statement of a staged rollout, each with the lock that it takes';

-- Whatever policies and the like are missing now: partitions that came during the rollout are not forgotten.
CREATE FUNCTION tenancy.finish_staged(root regclass, options jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    statement text;
BEGIN
    PERFORM tenancy.check_protectable(root);
    EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', root);
    PERFORM tenancy.check_staged_again(root, options);
    IF NOT EXISTS (SELECT FROM tenancy.protected_tables p WHERE p.table_id = root) THEN
        RAISE EXCEPTION 'table % is not observed any more', root USING ERRCODE = '55000',
            HINT = 'Run the script from its top, which notes what it does to the table.';
    END IF;
    SELECT s.statement INTO statement FROM tenancy.protect_statements(root, options) s
     WHERE s.phase BETWEEN 40 AND 109 AND s.statement NOT LIKE '% DROP NOT NULL' ORDER BY s.phase LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'table % is not ready to be protected in a moment', root USING ERRCODE = '55000',
            DETAIL = format('This is still to be done: %s', statement),
            HINT = 'Have the script made again by protect_table_sql(..., staged => true): it has what is missing.';
    END IF;
    FOREACH statement IN ARRAY ARRAY(SELECT s.statement FROM tenancy.protect_statements(root, options) s) LOOP
        EXECUTE statement;
    END LOOP;
    FOREACH statement IN ARRAY ARRAY(
        SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname)
          FROM tenancy.covered_relations(root) c JOIN pg_constraint k ON k.conrelid = c.relation
         WHERE k.conname = 'pg_tenancy_tenant_given' AND k.coninhcount = 0) LOOP
        EXECUTE statement;
    END LOOP;
    PERFORM tenancy.report_protection(root, options);
END
$$;
COMMENT ON FUNCTION tenancy.finish_staged(regclass, jsonb) IS 'Administrators only: the last statement of a staged rollout: enforces with these options, if nothing is left that takes long. Errors: 55000 something is, or what the options say holds no longer; others as of protect_table';

CREATE FUNCTION tenancy.staged_script(root regclass, options jsonb, backfill text, filling jsonb) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    body text;
    number bigint;
BEGIN
    PERFORM tenancy.check_staged(root, options, backfill, filling);
    IF NOT EXISTS (SELECT FROM tenancy.protect_statements(root, options, backfill)) THEN
        RETURN tenancy.comment_line(format('%s is protected already', root));
    END IF;
    SELECT string_agg(format(E'\n%s\n%s\n', tenancy.comment_line(format('%s. Lock: %s', s.n, s.lock)), s.statement), '' ORDER BY s.n), max(s.n)
      INTO body, number
      FROM tenancy.staged_steps(root, options, backfill, filling) WITH ORDINALITY s (lock, statement, n);
    RETURN format(E'%s\n%s\n%s\n%s\n%s\n',
        tenancy.comment_line(format('Puts %s under tenancy. Each statement must be a transaction of its own: psql -v ON_ERROR_STOP=1 -f, never -1.', root)),
        tenancy.comment_line('After a break, by lock_timeout (55P03) or otherwise, run all of it again; what is done is not done twice.'),
        body, tenancy.comment_line(format('%s. Lock: ACCESS EXCLUSIVE on %s, briefly. Now it is enforced.', number + 1, root)),
        tenancy.staged_block(format('PERFORM tenancy.finish_staged(%L, %L)', root, options)));
END
$$;
COMMENT ON FUNCTION tenancy.staged_script(regclass, jsonb, text, jsonb) IS 'Administrators only: the script of a staged rollout; from where it stopped, if it stopped. Errors as of check_staged';
