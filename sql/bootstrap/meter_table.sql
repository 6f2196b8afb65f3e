-- Counting the rows and bytes of protected tables. Statement triggers with transition tables add them up by tenant, natively
-- (src/triggers/metered.rs): a statement writes once for each tenant. What metered_tables says is what counts: a trigger
-- on a table that it does not name does nothing.

CREATE FUNCTION tenancy.count_rows() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'tenancy_count_rows';
COMMENT ON FUNCTION tenancy.count_rows() IS 'Trigger function: on metered tables, counts rows and bytes by tenant; on others does nothing';

CREATE FUNCTION tenancy.meter_trigger_names() RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN '{~pg_tenancy_meter_delete,~pg_tenancy_meter_insert,~pg_tenancy_meter_move,~pg_tenancy_meter_size,~pg_tenancy_meter_truncate,~pg_tenancy_meter_update}'::text[];
COMMENT ON FUNCTION tenancy.meter_trigger_names() IS 'Administrators only: every name that a trigger of meter_table has';

-- A table and all below it, also what is protected by a call of its own: a statement on the table reaches its rows.
CREATE FUNCTION tenancy.metered_relations(root regclass) RETURNS TABLE (relation regclass, depth integer)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH RECURSIVE tree (id, depth) AS (
        SELECT root::oid, 0
        UNION
        SELECT i.inhrelid, t.depth + 1
          FROM tree t JOIN pg_inherits i ON i.inhparent = t.id JOIN pg_class c ON c.oid = i.inhrelid
         WHERE c.relpersistence <> 't'
    )
    SELECT t.id::regclass, max(t.depth) FROM tree t GROUP BY t.id ORDER BY max(t.depth), t.id;
    END;
COMMENT ON FUNCTION tenancy.metered_relations(regclass) IS 'Administrators only: a table and its partitions and children, parents first';

-- As Postgres writes them. Where a row moves between partitions no AFTER UPDATE … FOR EACH ROW trigger fires: so there every
-- update is looked at; elsewhere, if only rows are counted, those that change their tenant.
CREATE FUNCTION tenancy.wanted_meter_triggers(relation regclass) RETURNS TABLE (name text, definition text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    config record;
    tenant_column text;
    tenant_argument text;
    partitioned boolean;
BEGIN
    SELECT bool_or(m.kind = 'gauge') AS gauge, bool_or(t.measure = 'bytes') AS bytes,
           split_part(max(t.size_column), '.', 1) AS size_column, min(t.root_id::oid)::regclass AS root INTO config
      FROM tenancy.metered_tables t JOIN tenancy.meters m ON m.name = t.meter WHERE t.table_id = relation;
    SELECT p.options ->> 'tenant_column', y.argument INTO tenant_column, tenant_argument
      FROM tenancy.protected_tables p JOIN tenancy.tenant_types() y ON y.type = tenancy.tenant_type(p.options)
     WHERE p.table_id = config.root;
    IF tenant_column IS NULL THEN
        RETURN;
    END IF;
    SELECT c.relkind = 'p' INTO partitioned FROM pg_class c WHERE c.oid = config.root;
    RETURN QUERY
        SELECT n.name, format('CREATE TRIGGER %I %s EXECUTE FUNCTION tenancy.count_rows()', n.name, n.event)
          FROM (VALUES
            ('~pg_tenancy_meter_insert', format('AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT', relation), true),
            ('~pg_tenancy_meter_delete', format('AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT', relation), config.gauge),
            ('~pg_tenancy_meter_update', format('AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT', relation),
             config.bytes OR partitioned),
            ('~pg_tenancy_meter_move', format('AFTER UPDATE ON %s FOR EACH ROW WHEN ((%s IS DISTINCT FROM %s))', relation,
                format(tenant_argument, 'old.' || quote_ident(tenant_column)), format(tenant_argument, 'new.' || quote_ident(tenant_column))),
             NOT (config.bytes OR partitioned)),
            ('~pg_tenancy_meter_truncate', format('BEFORE TRUNCATE ON %s FOR EACH STATEMENT', relation), config.gauge),
            -- For what Postgres makes of it: a dependency, by which a renamed column is found.
            ('~pg_tenancy_meter_size', format('BEFORE UPDATE OF %s ON %s FOR EACH STATEMENT', quote_ident(config.size_column), relation), config.size_column IS NOT NULL)
          ) n (name, event, wanted) WHERE n.wanted;
END
$$;
COMMENT ON FUNCTION tenancy.wanted_meter_triggers(regclass) IS 'Administrators only: the triggers that count one relation, by metered_tables';

CREATE FUNCTION tenancy.keep_meter_triggers(relation regclass) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    statement text;
    changed boolean := false;
BEGIN
    FOR statement IN
        WITH there AS (
            SELECT t.tgname::text AS name, t.tgenabled IN ('O', 'A') AND pg_get_triggerdef(t.oid) = w.definition AS kept
              FROM pg_trigger t LEFT JOIN tenancy.wanted_meter_triggers(relation) w ON w.name = t.tgname
             WHERE t.tgrelid = relation AND t.tgname = ANY (tenancy.meter_trigger_names())
        )
        SELECT s.statement
          FROM (SELECT 1, t.name, format('DROP TRIGGER %I ON %s', t.name, relation) FROM there t WHERE t.kept IS NOT TRUE
                UNION ALL
                SELECT 2, w.name, w.definition FROM tenancy.wanted_meter_triggers(relation) w
                 WHERE NOT EXISTS (SELECT FROM there t WHERE t.name = w.name AND t.kept)) s (n, name, statement)
         ORDER BY s.n, s.name
    LOOP
        EXECUTE statement;
        changed := true;
    END LOOP;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION tenancy.keep_meter_triggers(regclass) IS 'Administrators only: makes the triggers that count one relation those that metered_tables asks for. Returns whether anything changed';

-- Rows that are there already are counted in, or out, whatever the quotas; of counters nothing, which tell what was added.
CREATE FUNCTION tenancy.count_present(relation regclass, meters text[], factor integer, strict boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.correct_usage(m.tenant, m.meter, factor * m.amount)
       FROM tenancy.measure_table(relation, strict) m WHERE m.meter = ANY (meters) ORDER BY m.tenant, m.meter;
END
$$;
COMMENT ON FUNCTION tenancy.count_present(regclass, text[], integer, boolean) IS 'Administrators only: adds what one relation holds to these gauges, or takes it away';

-- One relation's part in metered_tables becomes this; the caller has it locked.
CREATE FUNCTION tenancy.set_metered(relation regclass, root regclass, rows text, bytes text, size_column text, strict boolean) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone text[];
    added text[];
BEGIN
    SELECT coalesce(array_agg(o.meter) FILTER (WHERE n.meter IS NULL), '{}'), coalesce(array_agg(n.meter) FILTER (WHERE o.meter IS NULL), '{}')
      INTO gone, added
      FROM (SELECT t.meter, t.measure, t.size_column, t.root_id FROM tenancy.metered_tables t WHERE t.table_id = relation) o
      FULL JOIN (SELECT v.* FROM (VALUES (rows, 'rows', NULL, root), (bytes, 'bytes', set_metered.size_column, root))
                        v (meter, measure, size_column, root_id) WHERE v.meter IS NOT NULL) n
        ON (o.meter, o.measure, o.root_id) = (n.meter, n.measure, n.root_id) AND o.size_column IS NOT DISTINCT FROM n.size_column;
    IF gone <> '{}' THEN
        PERFORM tenancy.count_present(relation, gone, -1, false);
        DELETE FROM tenancy.metered_tables t WHERE t.table_id = relation AND t.meter = ANY (gone);
    END IF;
    IF added <> '{}' THEN
        INSERT INTO tenancy.metered_tables (table_id, root_id, meter, measure, size_column)
            SELECT relation, root, v.meter, v.measure, v.size_column
              FROM (VALUES (rows, 'rows', NULL), (bytes, 'bytes', set_metered.size_column)) v (meter, measure, size_column)
             WHERE v.meter = ANY (added);
        PERFORM tenancy.count_present(relation, added, 1, strict);
    END IF;
    RETURN tenancy.keep_meter_triggers(relation) OR gone <> '{}' OR added <> '{}';
END
$$;
COMMENT ON FUNCTION tenancy.set_metered(regclass, regclass, text, text, text, boolean) IS 'Administrators only: what counts one relation from now on; what is there is counted in and out. Returns whether anything changed';

CREATE FUNCTION tenancy.check_metering("table" regclass, action text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    root regclass;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to % a table', action USING ERRCODE = '42501',
            HINT = 'Only administrators may.';
    END IF;
    IF "table" IS NULL THEN
        RAISE EXCEPTION 'table must not be null' USING ERRCODE = '22023';
    END IF;
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'cannot % a table in a transaction of isolation level %', action, current_setting('transaction_isolation') USING
            ERRCODE = '0A000', DETAIL = 'What was committed since it began could not be told from what is missing.',
            HINT = 'Use READ COMMITTED.';
    END IF;
    SELECT t.root_id INTO root FROM tenancy.metered_tables t WHERE t.table_id = "table" AND t.root_id <> "table" LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'cannot % % by itself: it is counted with table %', action, "table", root USING ERRCODE = '22023',
            HINT = format('Name %s, or detach the table from it first.', root);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_metering(regclass, text) IS 'Administrators only: 42501 for anybody else; 0A000 above READ COMMITTED; 22023 for null, a partition or child';

CREATE FUNCTION tenancy.is_countable_name(name text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN getdatabaseencoding() = 'UTF8' OR name !~ '[^\x01-\x7f]';
COMMENT ON FUNCTION tenancy.is_countable_name(text) IS 'Administrators only: whether the triggers that count find a column of this name: in a database that is not in UTF-8, ASCII only';

CREATE FUNCTION tenancy.check_size_column("table" regclass, size_column text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_name text := split_part(size_column, '.', 1);
    is_path boolean := position('.' IN size_column) > 0;
    found_type regtype := tenancy.column_type("table", split_part(size_column, '.', 1));
    virtual boolean;
BEGIN
    IF found_type IS NULL THEN
        RAISE EXCEPTION 'column "%" of table % does not exist', found_name, "table" USING ERRCODE = '22023',
            HINT = 'size_column is a column''s name, or a path into a jsonb column, as in ''metadata.size''.';
    END IF;
    IF size_column ~ '(^|\.)(\.|$)' OR found_type::text <> ALL (CASE WHEN is_path THEN '{jsonb}' ELSE '{smallint,integer,bigint,numeric}' END::text[]) THEN
        RAISE EXCEPTION 'size_column "%" of table % cannot hold a size', size_column, "table" USING ERRCODE = '22023',
            DETAIL = format('Column "%s" is of type %s.', found_name, found_type),
            HINT = 'Name a column of type bigint, integer, smallint or numeric, or a path into a jsonb column, as in ''metadata.size''.';
    END IF;
    SELECT a.attgenerated = 'v' INTO virtual FROM pg_attribute a WHERE a.attrelid = "table" AND a.attname = found_name;
    IF virtual THEN
        RAISE EXCEPTION 'size_column "%" of table % is a virtual generated column', size_column, "table" USING ERRCODE = '0A000',
            DETAIL = 'Its values are not stored.', HINT = 'Make it a stored one.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_size_column(regclass, text) IS 'Administrators only: 22023 unless it names a column, or a path into one, that can hold a size';

-- What would be counted wrongly, or not at all, and nobody would see it.
CREATE FUNCTION tenancy.check_countable("table" regclass, options jsonb, size_column text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    names text;
    statements text;
BEGIN
    IF options ->> 'mode' = 'observe' THEN
        RAISE EXCEPTION 'table % is only observed', "table" USING ERRCODE = '55000',
            DETAIL = 'It may hold rows of tenants that do not exist yet, and nobody counts these.',
            HINT = 'SELECT tenancy.protect_table(...); in mode active or membership first.';
    END IF;
    IF NOT tenancy.is_countable_name(concat(options ->> 'tenant_column', size_column)) THEN
        RAISE EXCEPTION 'cannot meter %: the name of its tenant or size column is not ASCII', "table" USING ERRCODE = '0A000',
            DETAIL = format('The encoding of this database is %s.', getdatabaseencoding()), HINT = 'Rename the column.';
    END IF;
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid::regclass::text COLLATE "C") INTO names
      FROM tenancy.metered_relations("table") r JOIN pg_class c ON c.oid = r.relation WHERE c.relkind NOT IN ('r', 'p');
    IF names IS NOT NULL THEN
        RAISE EXCEPTION 'cannot meter %: a partition or child of it is a foreign table', "table" USING
            ERRCODE = '0A000', DETAIL = format('What is written there cannot be counted: %s.', names);
    END IF;
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid::regclass::text COLLATE "C"),
           string_agg(format('ALTER TABLE %s SET LOGGED;', c.oid::regclass), ' ' ORDER BY c.oid::regclass::text COLLATE "C") INTO names, statements
      FROM tenancy.metered_relations("table") r JOIN pg_class c ON c.oid = r.relation WHERE c.relkind = 'r' AND c.relpersistence = 'u';
    IF names IS NOT NULL THEN
        RAISE EXCEPTION 'cannot meter %: it, or a partition or child of it, is unlogged', "table" USING
            ERRCODE = '0A000', DETAIL = format('After a crash the rows would be gone, and still be counted: %s.', names), HINT = statements;
    END IF;
    SELECT string_agg(DISTINCT format('%s with %s', t.table_id, t.root_id), ', ') INTO names
      FROM tenancy.metered_relations("table") r JOIN tenancy.metered_tables t ON t.table_id = r.relation
     WHERE t.root_id <> "table" AND t.root_id NOT IN (SELECT b.relation FROM tenancy.metered_relations("table") b);
    IF names IS NOT NULL THEN
        RAISE EXCEPTION 'cannot meter %: a child of it is counted with another table', "table" USING ERRCODE = '0A000',
            DETAIL = format('Counted: %s.', names), HINT = 'A child of two tables can be counted with one only.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_countable(regclass, jsonb, text) IS 'Administrators only: 55000 for an observed table; 0A000 for unlogged and foreign tables, names that are not ASCII in a database that is not in UTF-8, and a child that another table counts';

-- Dropping a trigger takes ACCESS EXCLUSIVE: so where one will be, that is taken at once, or a reader that then writes would be the
-- victim of a deadlock.
CREATE FUNCTION tenancy.lock_to_meter("table" regclass, rows text, bytes text, size_column text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    alters boolean;
BEGIN
    SELECT count(*) > 0 INTO alters
      FROM tenancy.metered_relations("table") r
      JOIN pg_trigger g ON g.tgrelid = r.relation AND g.tgname = ANY (tenancy.meter_trigger_names())
      LEFT JOIN tenancy.wanted_meter_triggers(r.relation) w ON w.name = g.tgname
     WHERE g.tgenabled NOT IN ('O', 'A') OR w.definition IS DISTINCT FROM pg_get_triggerdef(g.oid)
        OR (SELECT array_agg((t.root_id::oid, t.meter, t.size_column)::text ORDER BY t.measure) FROM tenancy.metered_tables t WHERE t.table_id = r.relation)
           IS DISTINCT FROM (SELECT array_agg(("table"::oid, v.meter, v.size_column)::text ORDER BY v.measure)
                               FROM (VALUES ('bytes', bytes, lock_to_meter.size_column), ('rows', rows, NULL)) v (measure, meter, size_column)
                              WHERE v.meter IS NOT NULL);
    EXECUTE format('LOCK TABLE %s IN %s MODE', "table", CASE WHEN alters THEN 'ACCESS EXCLUSIVE' ELSE 'SHARE ROW EXCLUSIVE' END);
END
$$;
COMMENT ON FUNCTION tenancy.lock_to_meter(regclass, text, text, text) IS 'Administrators only: locks a table and all below it, for what meter_table is about to do';

CREATE FUNCTION tenancy.meter_table("table" regclass, rows text DEFAULT NULL, bytes text DEFAULT NULL, size_column text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    protection record;
    unknown text;
    changed boolean := false;
    relation regclass;
BEGIN
    PERFORM tenancy.check_metering("table", 'meter');
    SELECT p.root_id, p.options INTO protection FROM tenancy.protected_tables p WHERE p.table_id = "table";
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % is not protected', "table" USING ERRCODE = '55000',
            DETAIL = 'Its rows are counted for the tenants that they belong to.',
            HINT = format('SELECT tenancy.protect_table(%L); first.', "table"::text);
    ELSIF protection.root_id <> "table" THEN
        RAISE EXCEPTION 'cannot meter % by itself: it is covered with table %', "table", protection.root_id USING ERRCODE = '22023',
            HINT = format('Name %s, or detach the table from it first.', protection.root_id);
    END IF;
    IF rows IS NULL AND bytes IS NULL THEN
        RAISE EXCEPTION 'rows or bytes must be given' USING ERRCODE = '22023',
            HINT = 'Name the meter that counts them. tenancy.unmeter_table() ends counting.';
    END IF;
    IF rows = bytes THEN
        RAISE EXCEPTION 'rows and bytes must be counted by different meters' USING ERRCODE = '22023';
    END IF;
    SELECT v.name INTO unknown FROM (VALUES (1, rows, 'rows'), (2, bytes, 'bytes')) v (n, name, unit)
     WHERE v.name IS NOT NULL AND NOT EXISTS (SELECT FROM tenancy.meters m WHERE m.name = v.name) ORDER BY v.n LIMIT 1;
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'meter "%" does not exist', unknown USING ERRCODE = '42704',
            HINT = format('SELECT tenancy.create_meter(%L, %L, ''gauge'', ...); creates it.', unknown, CASE unknown WHEN rows THEN 'rows' ELSE 'bytes' END);
    END IF;
    IF size_column IS NOT NULL AND bytes IS NULL THEN
        RAISE EXCEPTION 'size_column is given, but bytes are not counted' USING ERRCODE = '22023',
            HINT = 'Name the meter of the bytes too: bytes => ''...''.';
    END IF;
    IF size_column IS NOT NULL THEN
        PERFORM tenancy.check_size_column("table", size_column);
    END IF;
    PERFORM tenancy.check_countable("table", protection.options, size_column);
    -- Writers wait until what is there is counted, and those after them are counted by the triggers.
    PERFORM tenancy.lock_to_meter("table", rows, bytes, size_column);
    FOR relation IN SELECT r.relation FROM tenancy.metered_relations("table") r LOOP
        changed := tenancy.set_metered(relation, "table", rows, bytes, size_column, true) OR changed;
    END LOOP;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION tenancy.meter_table(regclass, text, text, text) IS 'Administrators only: counts a protected table''s rows and bytes, those of its partitions and children too, by these meters, for the tenants they belong to: see docs/reference/metered_tables.md. Called again it repairs and alters. Returns whether anything changed. Errors: 42501 not an administrator or owner; 55000 not protected, or observed only; 42704 no such meter; 22023 bad argument, a partition or child, or a row whose size is none; 22003 out of range; 0A000 an unlogged or foreign table, or above READ COMMITTED';

-- Of all tables that feed a meter, because one amount stands for them all. Writers need not wait: their rows and their usage
-- are seen together or not at all. Two who repair the same must not both.
CREATE FUNCTION tenancy.recount_meters(meters text[]) RETURNS TABLE (tenant uuid, meter text, counted bigint, actual bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
    PERFORM FROM tenancy.meters m WHERE m.name = ANY (meters) AND m.kind = 'gauge' ORDER BY m.name FOR NO KEY UPDATE;
    FOR tenant, meter, counted, actual IN
        SELECT d.tenant, d.meter, d.counted, d.actual
          FROM tenancy.usage_differences(ARRAY(SELECT m.name FROM tenancy.meters m WHERE m.name = ANY (meters) AND m.kind = 'gauge')) d
         ORDER BY d.tenant, d.meter
    LOOP
        -- A row may be left of a tenant that is gone, where nothing held it.
        CONTINUE WHEN NOT EXISTS (SELECT FROM tenancy.tenants t WHERE t.id = recount_meters.tenant);
        PERFORM tenancy.correct_usage(tenant, meter, actual - counted);
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.recount_meters(text[]) IS 'Administrators only: makes gauges what the tables that feed them hold. Returns what was wrong';

CREATE FUNCTION tenancy.recount_usage("table" regclass) RETURNS TABLE (tenant uuid, meter text, counted bigint, actual bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    meters text[];
BEGIN
    PERFORM tenancy.check_metering("table", 'recount');
    meters := ARRAY(SELECT t.meter FROM tenancy.metered_tables t WHERE t.table_id = "table");
    IF meters = '{}' THEN
        RAISE EXCEPTION 'table % is not metered', "table" USING ERRCODE = '55000',
            HINT = format('SELECT tenancy.meter_table(%L, rows => ''...''); meters it, and counts what is there.', "table"::text);
    END IF;
    RETURN QUERY SELECT * FROM tenancy.recount_meters(meters);
END
$$;
COMMENT ON FUNCTION tenancy.recount_usage(regclass) IS 'Administrators only: makes the gauges that count this table what it and the other tables that feed them hold. Nobody waits for it but who does the same. Returns what was wrong: tenant, meter, what was counted and what there is. Errors: 42501 not an administrator or owner; 55000 not metered; 22023 a partition or child; 0A000 above READ COMMITTED';

-- A gauge that no table feeds any more is 0, and nothing is read for it; else what this one holds goes.
CREATE FUNCTION tenancy.unmeter_table("table" regclass) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    meters text[];
    relations regclass[];
    relation regclass;
BEGIN
    PERFORM tenancy.check_metering("table", 'unmeter');
    meters := ARRAY(SELECT DISTINCT t.meter FROM tenancy.metered_tables t WHERE t.root_id = "table");
    IF meters = '{}' THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', "table");
    relations := ARRAY(SELECT DISTINCT t.table_id FROM tenancy.metered_tables t WHERE t.root_id = "table" ORDER BY 1);
    DELETE FROM tenancy.metered_tables t
     WHERE t.root_id = "table" AND NOT EXISTS (SELECT FROM tenancy.metered_tables o WHERE o.meter = t.meter AND o.root_id <> "table");
    FOREACH relation IN ARRAY relations LOOP
        PERFORM tenancy.set_metered(relation, "table", NULL, NULL, NULL, false);
    END LOOP;
    PERFORM tenancy.recount_meters(ARRAY(SELECT m FROM unnest(meters) m WHERE NOT EXISTS (SELECT FROM tenancy.metered_tables t WHERE t.meter = m)));
    RETURN true;
END
$$;
COMMENT ON FUNCTION tenancy.unmeter_table(regclass) IS 'Administrators only: ends the counting of a table, its partitions and children; what gauges count of it goes, counters keep what was added. Returns whether it was metered. Errors: 42501 not an administrator or owner; 22023 a partition or child; 0A000 above READ COMMITTED';
