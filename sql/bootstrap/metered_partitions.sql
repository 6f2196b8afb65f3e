-- What the event triggers of protect_partitions.sql do for metered tables: partitions and children that come are counted in,
-- those that go are counted out. They call these after everybody's DDL on a protected table, and nothing here fails it but what can be
-- tried again.

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
     WHERE g.tgrelid = t.table_id AND g.tgname = '~pg_tenancy_meter_size'
       AND t.size_column IS NOT NULL AND a.attname <> split_part(t.size_column, '.', 1) AND position('.' IN a.attname) = 0;
    -- No longer below its root.
    FOR item IN
        SELECT t.table_id, t.root_id FROM tenancy.metered_tables t
         WHERE t.table_id <> t.root_id
           AND NOT EXISTS (SELECT FROM tenancy.metered_relations(t.root_id) r WHERE r.relation = t.table_id)
         GROUP BY t.table_id, t.root_id
    LOOP
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', item.table_id);
            PERFORM tenancy.set_metered(item.table_id, item.root_id, NULL, NULL, NULL, false);
        EXCEPTION WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
            RAISE;
        WHEN OTHERS THEN
            RAISE WARNING 'table % is still counted with %: %', item.table_id, item.root_id, SQLERRM USING
                HINT = format('Call tenancy.unmeter_table(%L) and tenancy.meter_table() for %s again.', item.root_id::text, item.root_id);
        END;
    END LOOP;
    FOR item IN
        SELECT r.relation, m.root_id, m.rows, m.bytes, m.size_column
          FROM (SELECT t.root_id, max(t.meter) FILTER (WHERE t.measure = 'rows') AS rows,
                       max(t.meter) FILTER (WHERE t.measure = 'bytes') AS bytes, max(t.size_column) AS size_column
                  FROM tenancy.metered_tables t WHERE t.table_id = t.root_id GROUP BY t.root_id) m
         CROSS JOIN LATERAL tenancy.metered_relations(m.root_id) r
         WHERE NOT EXISTS (SELECT FROM tenancy.metered_tables t WHERE t.table_id = r.relation AND t.root_id = m.root_id)
           -- Of a table that was metered by itself and is below another now: the topmost counts.
           AND NOT EXISTS (SELECT FROM tenancy.metered_tables o CROSS JOIN LATERAL tenancy.metered_relations(o.root_id) b
                            WHERE o.root_id <> m.root_id AND b.relation = m.root_id)
         ORDER BY r.depth, r.relation
    LOOP
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', item.relation);
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
    IF meters IS NULL THEN
        RETURN;
    END IF;
    FOR relation IN SELECT c.oid FROM pg_class c WHERE c.oid = ANY (dropped) LOOP
        PERFORM tenancy.keep_meter_triggers(relation);
    END LOOP;
    PERFORM tenancy.recount_meters(meters);
END
$$;
COMMENT ON FUNCTION tenancy.forget_metered(oid[]) IS 'Administrators only: forgets dropped tables, and size columns, and counts their meters anew';
