-- What the event triggers of protect_partitions.sql do for metered tables: partitions and children that come are counted in,
-- those that go are counted out. They call these after everybody's DDL on a protected table, and nothing here fails it but what can be
-- tried again.

-- All trees in one query: there may be many metered tables, and this is asked after every DDL on a protected one.
CREATE FUNCTION tenancy.metered_trees() RETURNS TABLE (root regclass, relation regclass, depth integer)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH RECURSIVE tree (root, id, depth) AS (
        SELECT DISTINCT m.root_id::oid, m.root_id::oid, 0 FROM tenancy.metered_tables m
        UNION
        SELECT t.root, i.inhrelid, t.depth + 1
          FROM tree t JOIN pg_inherits i ON i.inhparent = t.id JOIN pg_class c ON c.oid = i.inhrelid
         WHERE c.relpersistence <> 't'
    )
    SELECT t.root::regclass, t.id::regclass, max(t.depth) FROM tree t GROUP BY t.root, t.id;
    END;
COMMENT ON FUNCTION tenancy.metered_trees() IS 'Administrators only: every metered table with its partitions and children';

CREATE FUNCTION tenancy.cover_metered() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
BEGIN
    IF NOT EXISTS (SELECT FROM tenancy.metered_tables) THEN
        RETURN;
    END IF;
    -- A renamed column: the trigger that depends on it knows which it is. A name with a dot would be taken for a path.
    UPDATE tenancy.metered_tables t
       SET size_column = a.attname || coalesce(substring(t.size_column FROM '\..*$'), '')
      FROM pg_trigger g JOIN pg_attribute a ON a.attrelid = g.tgrelid AND a.attnum = g.tgattr[0]
     WHERE g.tgrelid = t.table_id AND g.tgname = '~pg_tenancy_meter_size' AND g.tgfoid = 'tenancy.count_rows()'::regprocedure
       AND t.size_column IS NOT NULL AND a.attname <> split_part(t.size_column, '.', 1) AND position('.' IN a.attname) = 0;
    -- No longer below its root.
    FOR item IN
        SELECT t.table_id, t.root_id FROM tenancy.metered_tables t WHERE t.table_id <> t.root_id
        EXCEPT
        SELECT r.relation, r.root FROM tenancy.metered_trees() r
    LOOP
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', item.table_id);
            PERFORM tenancy.set_metered(item.table_id, item.root_id, NULL, NULL, NULL, false);
        EXCEPTION WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
            RAISE;
        WHEN OTHERS THEN
            RAISE WARNING 'table % is still counted with %: %', item.table_id, item.root_id, SQLERRM USING
                HINT = format('Call tenancy.unmeter_table(%L) and tenancy.meter_table() for %s again.', item.root_id::text, item.root_id);
        END;
    END LOOP;
    FOR item IN
        WITH trees AS MATERIALIZED (
            SELECT * FROM tenancy.metered_trees()
        )
        SELECT r.relation, m.root_id, m.rows, m.bytes, m.size_column
          FROM (SELECT t.root_id, max(t.meter) FILTER (WHERE t.measure = 'rows') AS rows,
                       max(t.meter) FILTER (WHERE t.measure = 'bytes') AS bytes, max(t.size_column) AS size_column
                  FROM tenancy.metered_tables t WHERE t.table_id = t.root_id GROUP BY t.root_id) m
          JOIN trees r ON r.root = m.root_id
         WHERE NOT EXISTS (SELECT FROM tenancy.metered_tables t WHERE t.table_id = r.relation AND t.root_id = m.root_id)
           -- Of a table that was metered by itself and is below another now: the topmost counts.
           AND NOT EXISTS (SELECT FROM trees b WHERE b.root <> m.root_id AND b.relation = m.root_id)
           -- Of two topmost ones that which counts it already.
           AND NOT EXISTS (SELECT FROM tenancy.metered_tables t JOIN trees b ON b.root = t.root_id AND b.relation = r.relation
                            WHERE t.table_id = r.relation AND NOT EXISTS (SELECT FROM trees u WHERE u.root = m.root_id AND u.relation = t.root_id))
         ORDER BY r.depth, r.relation
    LOOP
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %s IN %s MODE', item.relation,
                CASE WHEN EXISTS (SELECT FROM tenancy.metered_tables t WHERE t.table_id = item.relation) THEN 'ACCESS EXCLUSIVE' ELSE 'SHARE ROW EXCLUSIVE' END);
            PERFORM tenancy.set_metered(item.relation, item.root_id, item.rows, item.bytes, item.size_column, false);
        EXCEPTION WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
            RAISE;
        WHEN OTHERS THEN
            RAISE WARNING 'table % is not counted: %', item.relation, SQLERRM USING
                DETAIL = format('It is below %s, which is.', item.root_id),
                HINT = format('Correct it, then call tenancy.meter_table() for %s again.', item.root_id);
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.cover_metered() IS 'Administrators only: counts partitions and children in that came below metered tables, and out those that went; problems are warnings';

-- What is gone cannot be read any more: so the meters it fed are counted anew from the tables that are left, if any.
CREATE FUNCTION tenancy.forget_metered(dropped oid[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    meters text[];
    shrunk text[];
    relation regclass;
BEGIN
    WITH gone AS (
        DELETE FROM tenancy.metered_tables t
         WHERE t.table_id = ANY (dropped)
           AND (NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.table_id)
                OR t.size_column IS NOT NULL AND tenancy.column_number(t.table_id, split_part(t.size_column, '.', 1)) IS NULL)
        RETURNING t.meter
    )
    SELECT array_agg(DISTINCT g.meter) INTO meters FROM gone g;
    -- Of a column: the rows have lost what it held, and no trigger saw it. What takes more than a moment to read is not read
    -- under the lock of an ALTER TABLE that takes none.
    SELECT array_agg(DISTINCT t.meter) INTO shrunk
      FROM tenancy.metered_tables t JOIN tenancy.meters m ON m.name = t.meter AND m.kind = 'gauge'
     WHERE t.table_id = ANY (dropped) AND t.measure = 'bytes' AND t.size_column IS NULL AND NOT t.meter = ANY (coalesce(meters, '{}'));
    IF (SELECT sum(pg_relation_size(t.table_id)) FROM tenancy.metered_tables t WHERE t.meter = ANY (shrunk)) <= 64 * 1024 * 1024 THEN
        meters := coalesce(meters, '{}') || shrunk;
    ELSE
        FOR relation IN SELECT DISTINCT t.root_id FROM tenancy.metered_tables t WHERE t.table_id = ANY (dropped) AND t.meter = ANY (shrunk) LOOP
            RAISE WARNING 'table %: what the dropped column held is still counted', relation USING
                HINT = format('SELECT * FROM tenancy.recount_usage(%L); counts anew, and nobody waits for it.', relation);
        END LOOP;
    END IF;
    IF meters IS NULL THEN
        RETURN;
    END IF;
    FOR relation IN SELECT c.oid FROM pg_class c WHERE c.oid = ANY (dropped) LOOP
        PERFORM tenancy.keep_meter_triggers(relation);
    END LOOP;
    PERFORM tenancy.recount_meters(meters);
END
$$;
COMMENT ON FUNCTION tenancy.forget_metered(oid[]) IS 'Administrators only: forgets dropped tables, and size columns, and counts their meters anew; those of bytes too if a column was dropped';

-- What cannot be made good is told. What age() says is not above 0 was written by this transaction.
CREATE FUNCTION tenancy.warn_of_gaps(changed oid[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    context text;
    item record;
BEGIN
    -- Our own statements come here as well, and once is enough.
    GET DIAGNOSTICS context = PG_CONTEXT;
    IF context ~ 'tenancy\.(cover_relation|protect_table|unprotect_table|finish_staged)\(' THEN
        RETURN;
    END IF;
    FOR item IN
        SELECT i.inhrelid::regclass AS child, i.inhparent::regclass AS parent, p.root_id AS root, q.root_id AS other_root,
               (SELECT min(t.root_id::oid)::regclass FROM tenancy.metered_tables t WHERE t.table_id = i.inhrelid) AS counted_with,
               (SELECT min(t.root_id::oid)::regclass FROM tenancy.metered_tables t WHERE t.table_id = i.inhparent) AS other_counted_with
          FROM pg_inherits i
          JOIN tenancy.protected_tables p ON p.table_id = i.inhrelid
          LEFT JOIN tenancy.protected_tables q ON q.table_id = i.inhparent
         WHERE (i.inhrelid = ANY (changed) OR i.inhparent = ANY (changed)) AND age(i.xmin) <= 0
           AND p.options ->> 'mode' IS DISTINCT FROM 'observe'
         ORDER BY i.inhrelid, i.inhparent
    LOOP
        IF item.other_root IS NULL THEN
            RAISE WARNING 'table % is protected, and % above it is not', item.child, item.parent USING
                DETAIL = format('By the name of %s all rows of %s are read and written%s.', item.parent, item.child,
                                CASE WHEN item.counted_with IS NOT NULL THEN ', and not counted' END),
                HINT = format('SELECT tenancy.protect_table(%L); protects it too.', item.parent);
        ELSIF item.root NOT IN (item.child, item.other_root) THEN
            RAISE WARNING 'table % is below % and %, which are protected each by itself', item.child, item.root, item.other_root USING
                DETAIL = format('Its own policies are those of %s%s.', item.root,
                                CASE WHEN item.counted_with IS NOT NULL THEN format(', and its rows count with %s', item.counted_with) END),
                HINT = 'Take it from one of them.';
        ELSIF item.counted_with IS NOT NULL AND item.other_counted_with IS NULL THEN
            RAISE WARNING 'table % is metered, and % above it is not', item.child, item.parent USING
                DETAIL = format('What is written to it by the name of %s is not counted.', item.parent),
                HINT = format('SELECT tenancy.meter_table(%L, ...); counts it.', item.parent);
        ELSIF item.counted_with <> item.other_counted_with THEN
            RAISE WARNING 'table % is below % and %, which are metered each by itself', item.child, item.counted_with, item.other_counted_with USING
                DETAIL = format('Its rows count with %s, and wrongly where they are written by the name of another.', item.counted_with),
                HINT = 'Take it from one of them.';
        END IF;
    END LOOP;
    FOR item IN
        SELECT DISTINCT t.table_id, t.root_id
          FROM tenancy.metered_tables t JOIN pg_class c ON c.oid = t.table_id
         WHERE c.relpersistence = 'u' AND c.relkind = 'r' AND (t.table_id = ANY (changed) OR age(t.xmin) <= 0)
         ORDER BY 1
    LOOP
        RAISE WARNING 'table % is metered and unlogged', item.table_id USING
            DETAIL = 'After a crash its rows are gone, and still counted.',
            HINT = format('ALTER TABLE %s SET LOGGED; or after a crash: SELECT * FROM tenancy.recount_usage(%L);', item.table_id, item.root_id);
    END LOOP;
    FOR item IN
        SELECT DISTINCT t.table_id, tenancy.is_countable_name(concat(t.size_column, p.options ->> 'tenant_column')) AS is_countable
          FROM tenancy.metered_tables t JOIN tenancy.protected_tables p ON p.table_id = t.root_id
         WHERE t.table_id = t.root_id AND t.table_id = ANY (changed)
           AND (NOT tenancy.is_countable_name(concat(t.size_column, p.options ->> 'tenant_column'))
                OR t.size_column IS NOT NULL AND tenancy.column_number(t.table_id, split_part(t.size_column, '.', 1)) IS NULL)
    LOOP
        RAISE WARNING 'table % is no longer counted as it should be', item.table_id USING
            DETAIL = CASE WHEN item.is_countable THEN 'The name of its size column has a dot, and would be taken for a path.'
                          ELSE format('The name of its tenant or size column is not ASCII, and this database is in %s.', getdatabaseencoding()) END,
            HINT = format('Rename the column, then SELECT * FROM tenancy.recount_usage(%L);', item.table_id);
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.warn_of_gaps(oid[]) IS 'Administrators only: warnings of parents that are not protected or metered, of unlogged tables, and of names that are not found';
