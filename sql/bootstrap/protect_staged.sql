-- protect_table_sql(…, staged => true): the same end by statements that each are a transaction of their own and none of
-- which keeps readers and writers out for longer than a look at the catalog. On its way a table is registered in mode
-- observe: so each statement can note what unprotect_table must know, and a script made after a break goes on from there.

-- During the rollout only: a row that comes without tenant gets what the backfill would give it.
CREATE FUNCTION tenancy.fill_tenant() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reference text;
    given text;
    value text;
BEGIN
    -- What the expression names, the host's owners may rename and replace, so nobody else's rights are lent to it; and what
    -- the column's type computes is theirs too, if they have changed it meanwhile.
    SELECT t.refers_to INTO reference FROM pg_attribute a JOIN tenancy.tenant_types() t ON t.type::regtype = a.atttypid
     WHERE a.attrelid = TG_RELID AND a.attname = TG_ARGV[0];
    IF NOT FOUND THEN
        RETURN NEW;
    END IF;
    -- The row as its output function writes it: a cast to text could be the owner's.
    given := (tenancy.read_as_owner(TG_RELID, format('SELECT %s FROM (SELECT (%L::%s).*) AS %I',
                                                     TG_ARGV[1], NEW, TG_RELID::regclass, TG_ARGV[2])))[1];
    value := substr(given, strpos(given, ':') + 1);
    -- A key of the host's is looked up with our rights. What sort of key that is the administrator said, and nobody else.
    IF TG_ARGV[3] <> reference AND starts_with(given, TG_ARGV[3] || ':') THEN
        EXECUTE format('SELECT %s::text', tenancy.tenant_by_key(TG_ARGV[3], CASE TG_ARGV[3] WHEN 'key_number' THEN '$1::bigint' ELSE '$1' END))
           INTO value USING value;
    END IF;
    IF value IS NULL THEN
        RETURN NEW;
    END IF;
    RETURN jsonb_populate_record(NEW, jsonb_build_object(TG_ARGV[0], value));
END
$$;
REVOKE ALL ON FUNCTION tenancy.fill_tenant() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.fill_tenant() IS 'Trigger function: during a staged rollout, gives a row without tenant what the backfill''s expression says, with the rights of the table''s owner, since the writer may not see what it reads. A key that it gives is looked up with ours';

-- A comment is one line, whatever names are in it: the next would be SQL.
CREATE FUNCTION tenancy.comment_line(line text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN '-- ' || regexp_replace(line, '[\r\n]', ' ', 'g');
COMMENT ON FUNCTION tenancy.comment_line(text) IS 'Administrators only: an SQL comment that does not end before its text';

CREATE FUNCTION tenancy.staged_quote(body text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tag text := 'staged';
BEGIN
    WHILE position('$' || tag || '$' IN body) > 0 LOOP
        tag := tag || '_';
    END LOOP;
    RETURN format(E'DO $%1$s$\n%2$s\n$%1$s$;', tag, body);
END
$$;
COMMENT ON FUNCTION tenancy.staged_quote(text) IS 'Administrators only: a DO statement with this body';

-- Those under which protect_table executes its statements. They end with the transaction, which is the statement's own.
CREATE FUNCTION tenancy.staged_settings(indentation text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT string_agg(format('%sSET LOCAL %s;', indentation, s), E'\n' ORDER BY n)
              FROM unnest('{"search_path = pg_catalog, pg_temp",row_security = off,jit = off,tenancy.allow_tenant_change = on}'::text[]) WITH ORDINALITY u (s, n));
COMMENT ON FUNCTION tenancy.staged_settings(text) IS 'Administrators only: the settings that each statement of a staged rollout begins with';

-- Several statements as one.
CREATE FUNCTION tenancy.staged_block(VARIADIC statements text[]) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN tenancy.staged_quote(format(E'BEGIN\n%s\n%sEND', tenancy.staged_settings('    '),
        (SELECT string_agg('    ' || s || E';\n', '' ORDER BY n) FROM unnest(statements) WITH ORDINALITY u (s, n) WHERE s IS NOT NULL)));
COMMENT ON FUNCTION tenancy.staged_block(text[]) IS 'Administrators only: statements as one DO block';

CREATE FUNCTION tenancy.staged_note(relation regclass, undo jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN format('UPDATE tenancy.protected_tables SET undo = undo || %L WHERE table_id = %L::regclass', undo, relation);
COMMENT ON FUNCTION tenancy.staged_note(regclass, jsonb) IS 'Administrators only: the statement that notes what unprotect_table must know';

-- What partitions have got is the partitioned table's from now on.
CREATE FUNCTION tenancy.staged_adopted(root regclass, what text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN format('UPDATE tenancy.protected_tables p SET undo = p.undo - %1$L FROM pg_class c WHERE p.root_id = %2$L::regclass AND p.undo ? %1$L'
                  ' AND c.oid = p.table_id AND c.relispartition', what, root);
COMMENT ON FUNCTION tenancy.staged_adopted(regclass, text) IS 'Administrators only: the statement that forgets what partitions had of their own';

-- A few pages at a time, as many as take some tens of milliseconds: so long at most somebody waits for a row. It never
-- waits for one itself, with others locked: rows that others hold are left for the next turn.
-- The expression may name the table, which of a partition or child is the root's name.
CREATE FUNCTION tenancy.staged_fill(relation regclass, tenant_column text, expression text, table_name text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN tenancy.staged_quote(format($block$DECLARE
    pages bigint;
    page bigint;
    size bigint := 8;
    began timestamptz;
    filled bigint;
    in_turn bigint;
    idle_since timestamptz;
    missing boolean;
BEGIN
    LOOP
        pages := pg_catalog.pg_relation_size(%1$L) / pg_catalog.current_setting('block_size')::bigint;
        page := 0;
        in_turn := 0;
        WHILE page <= pages LOOP
%3$s
            began := clock_timestamp();
            filled := tenancy.fill_pages(%1$L, %2$L, %5$L, %6$L, page, page + size);
            COMMIT;
            in_turn := in_turn + filled;
            page := page + size;
            size := CASE WHEN clock_timestamp() > began + interval '40 ms' THEN greatest(size / 2, 1)
                         WHEN clock_timestamp() < began + interval '20 ms' THEN least(size * 2, 128) ELSE size END;
        END LOOP;
%4$s
        missing := tenancy.is_unfilled(%1$L, %2$L, %5$L, %6$L);
        COMMIT;
        EXIT WHEN NOT missing;
        idle_since := CASE WHEN in_turn = 0 THEN coalesce(idle_since, clock_timestamp()) END;
        IF clock_timestamp() > idle_since + interval '1 minute' THEN
            RAISE EXCEPTION 'rows of table %% are locked for too long to be given their tenant', %1$L USING ERRCODE = '55P03',
                HINT = 'End the transactions that hold them, then run this again.';
        END IF;
        PERFORM pg_catalog.pg_sleep(1);
    END LOOP;
END$block$, relation, tenant_column,
        tenancy.staged_settings('            '), tenancy.staged_settings('        '), expression, table_name));
COMMENT ON FUNCTION tenancy.staged_fill(regclass, text, text, text) IS 'Administrators only: the statement that gives the rows of one relation their tenant in batches';

-- An index that CREATE INDEX ON a partitioned table adopts instead of building another.
CREATE FUNCTION tenancy.adoptable_index(relation regclass, tenant_column text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN EXISTS (SELECT FROM pg_index i
                     JOIN pg_class c ON c.oid = i.indexrelid
                     JOIN pg_am a ON a.oid = c.relam
                    WHERE i.indrelid = relation AND i.indisvalid AND NOT i.indisunique AND i.indpred IS NULL AND a.amname = 'btree'
                      AND i.indnatts = 1 AND i.indkey[0] = tenancy.column_number(relation, tenant_column) AND i.indoption[0] = 0
                      AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid));
COMMENT ON FUNCTION tenancy.adoptable_index(regclass, text) IS 'Administrators only: whether a partition has an index of its own on the tenant column alone';

-- What CREATE INDEX CONCURRENTLY leaves when it is broken off. Another one that is still at work holds the first lock, which keeps
-- nobody from reading and writing: so it is waited for, as is an autovacuum.
CREATE FUNCTION tenancy.drop_broken_index(relation regclass, index_name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    patience text := current_setting('lock_timeout');
    broken regclass;
BEGIN
    PERFORM set_config('lock_timeout', '0', true);
    EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', relation);
    PERFORM set_config('lock_timeout', patience, true);
    SELECT i.indexrelid INTO broken FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid = relation AND c.relname = index_name AND NOT i.indisvalid;
    IF FOUND THEN
        EXECUTE format('DROP INDEX %s', broken);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.drop_broken_index(regclass, text) IS 'Administrators only: drops an index of this name that is not valid';

-- The name for an index; that of a broken one, if there is one, so that it is replaced.
CREATE FUNCTION tenancy.staged_index_name(relation regclass, tenant_column text) RETURNS name
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT coalesce((SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                      WHERE i.indrelid = relation AND NOT i.indisvalid AND i.indnatts = 1 AND c.relkind = 'i'
                        AND i.indkey[0] = tenancy.column_number(relation, tenant_column)
                        AND regexp_replace(c.relname, '\d*$', '') = regexp_replace(u.name, '\d*$', '')
                      ORDER BY c.relname LIMIT 1), u.name)
      FROM tenancy.unused_name(relation, ARRAY[tenant_column], 'idx') u (name);
    END;
COMMENT ON FUNCTION tenancy.staged_index_name(regclass, text) IS 'Administrators only: what the index on the tenant column is to be called';

-- CREATE INDEX CONCURRENTLY waits for every open transaction, in whatever table, and harms nobody while it does; one that gives
-- up begins again from nothing. Not SET and RESET, which would forget what the session has set. A session that did not put it
-- aside has nothing to put back.
CREATE FUNCTION tenancy.staged_patience(begins boolean) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN tenancy.staged_quote(format(E'BEGIN\n    PERFORM %s;\nEND', CASE WHEN begins THEN
        $$pg_catalog.set_config('staged.lock_timeout', pg_catalog.current_setting('lock_timeout'), false), pg_catalog.set_config('lock_timeout', '0', false)$$
        ELSE $$pg_catalog.set_config('lock_timeout', coalesce(pg_catalog.current_setting('staged.lock_timeout', true), pg_catalog.current_setting('lock_timeout')), false)$$ END));
COMMENT ON FUNCTION tenancy.staged_patience(boolean) IS 'Administrators only: the statement that puts lock_timeout aside, or back';

CREATE FUNCTION tenancy.staged_index(relation regclass, tenant_column text) RETURNS TABLE (lock text, statement text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    index_name name := tenancy.staged_index_name(relation, tenant_column);
    is_partitioned boolean := (SELECT c.relkind = 'p' FROM pg_class c WHERE c.oid = relation);
    part record;
    missing text[] := '{}';
BEGIN
    FOR part IN
        SELECT relation AS id, index_name AS name, false AS done WHERE NOT is_partitioned
        UNION ALL
        (SELECT p.relid, tenancy.staged_index_name(p.relid, tenant_column), tenancy.adoptable_index(p.relid, tenant_column)
           FROM pg_partition_tree(relation) p WHERE is_partitioned AND p.isleaf ORDER BY p.relid::text COLLATE "C")
    LOOP
        missing := missing || format('NOT tenancy.adoptable_index(%L, %L)', part.id, tenant_column);
        CONTINUE WHEN part.done;
        RETURN QUERY VALUES
            (format('SHARE UPDATE EXCLUSIVE on %1$s, briefly; to drop what an index build left that was broken off: ACCESS EXCLUSIVE on %1$s, briefly', part.id),
             tenancy.staged_block(format('PERFORM tenancy.drop_broken_index(%L, %L)', part.id, part.name),
                                  tenancy.staged_note(part.id, jsonb_build_object('index', part.name)))),
            ('none. The next waits for every open transaction, which harms nobody: lock_timeout is put aside', tenancy.staged_patience(true)),
            (format('SHARE UPDATE EXCLUSIVE on %s, for as long as the index is built', part.id),
             format('CREATE INDEX CONCURRENTLY IF NOT EXISTS %I ON %s (%I);', part.name, part.id, tenant_column)),
            ('none. lock_timeout is put back', tenancy.staged_patience(false));
    END LOOP;
    IF is_partitioned THEN
        RETURN QUERY VALUES
            (format('SHARE on %s and its partitions, briefly: their indexes become parts of its own', relation),
             tenancy.staged_block(tenancy.staged_adopted(relation, 'index'), format($step$IF NOT tenancy.has_tenant_index(%1$L, %2$L) THEN
        IF %3$s THEN
            RAISE EXCEPTION 'a partition of table %% has no index yet', %1$L USING ERRCODE = '55000',
                HINT = 'Run the statements before, or have the script made again.';
        END IF;
        %4$s;
        CREATE INDEX %5$I ON %6$s (%2$I);
    END IF$step$, relation, tenant_column, coalesce(nullif(array_to_string(missing, ' OR '), ''), 'false'),
                    tenancy.staged_note(relation, jsonb_build_object('index', index_name)), index_name, relation)));
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.staged_index(regclass, text) IS 'Administrators only: the index on the tenant column, by statements that do not keep writers waiting';

-- step: as protect_structure has it. On a partitioned table a foreign key cannot be added unchecked, but one that
-- all partitions have is adopted.
CREATE FUNCTION tenancy.staged_foreign_key(relation regclass, step text, undo jsonb, options jsonb)
    RETURNS TABLE (lock text, statement text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key_name text := undo ->> 'foreign_key';
    definition text := substr(step, length(format('ALTER TABLE %s ADD CONSTRAINT %s ', relation, quote_ident(key_name))) + 1);
    is_partitioned boolean := (SELECT c.relkind = 'p' FROM pg_class c WHERE c.oid = relation);
    part record;
    has_key text;
    new_name name;
BEGIN
    IF key_name IS NULL THEN
        -- It is there, and only to be checked.
        RETURN QUERY VALUES (format('SHARE UPDATE EXCLUSIVE on %s, ROW SHARE on tenancy.tenants, for as long as the rows are read', relation),
                             tenancy.staged_block('SET LOCAL lock_timeout = 0', tenancy.owner_statement(relation, 80, step)));
        RETURN;
    END IF;
    FOR part IN
        SELECT relation AS id, NULL::name AS name WHERE NOT is_partitioned
        UNION ALL
        (SELECT p.relid, k.name FROM pg_partition_tree(relation) p
           LEFT JOIN LATERAL tenancy.tenant_foreign_key(p.relid, options ->> 'tenant_column') k ON true
          WHERE is_partitioned AND p.isleaf ORDER BY p.relid::text COLLATE "C")
    LOOP
        has_key := format('EXISTS (SELECT FROM tenancy.tenant_foreign_key(%L, %L))', part.id, options ->> 'tenant_column');
        -- The root's name, as Postgres would have it, unless the partition has a constraint of that name.
        new_name := CASE WHEN EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = part.id AND k.conname = key_name)
                         THEN tenancy.unused_name(part.id, ARRAY[options ->> 'tenant_column'], 'fkey') ELSE key_name END;
        IF part.name IS NULL THEN
            RETURN QUERY VALUES
                (format('SHARE ROW EXCLUSIVE on %s and tenancy.tenants, briefly', part.id),
                 tenancy.staged_block(
                     CASE WHEN NOT is_partitioned THEN tenancy.staged_note(relation, undo) END,
                     format(E'IF NOT %s THEN\n        ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID;\n', has_key, part.id, new_name, definition)
                     || CASE WHEN is_partitioned THEN format(E'        %s;\n', tenancy.staged_note(part.id, jsonb_build_object('foreign_key', new_name))) ELSE '' END
                     || '    END IF'));
        END IF;
        RETURN QUERY VALUES
            (format('SHARE UPDATE EXCLUSIVE on %s, ROW SHARE on tenancy.tenants, for as long as the rows are read', part.id),
             tenancy.staged_block('SET LOCAL lock_timeout = 0',
                 tenancy.owner_statement(part.id, 80, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', part.id, coalesce(part.name, new_name)))));
    END LOOP;
    IF is_partitioned THEN
        RETURN QUERY VALUES
            (format('SHARE ROW EXCLUSIVE on %s, its partitions and tenancy.tenants, briefly: their foreign keys become parts of its own', relation),
             tenancy.staged_block(tenancy.staged_note(relation, undo), tenancy.staged_adopted(relation, 'foreign_key'),
                 format(E'IF NOT EXISTS (SELECT FROM tenancy.tenant_foreign_key(%L, %L)) THEN\n        %s;\n    END IF', relation, options ->> 'tenant_column', step)));
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.staged_foreign_key(regclass, text, jsonb, jsonb) IS 'Administrators only: the foreign key to tenancy.tenants, added unchecked and checked while others read and write';

-- A constraint that has been checked spares SET NOT NULL its reading of the rows.
CREATE FUNCTION tenancy.staged_not_null(relation regclass, tenant_column text, step text, undo jsonb) RETURNS TABLE (lock text, statement text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT v.lock, tenancy.staged_block(VARIADIC v.statements)
      FROM (VALUES
               (1, format('ACCESS EXCLUSIVE on %s, briefly', relation),
                ARRAY[format(E'IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = %L::regclass AND conname = ''pg_tenancy_tenant_given'') THEN\n'
                             '        ALTER TABLE %s ADD CONSTRAINT pg_tenancy_tenant_given CHECK (%I IS NOT NULL) NOT VALID;\n'
                             '    END IF', relation, relation, tenant_column)]),
               (2, format('SHARE UPDATE EXCLUSIVE on %s, for as long as the rows are read', relation),
                ARRAY['SET LOCAL lock_timeout = 0', format('ALTER TABLE %s VALIDATE CONSTRAINT pg_tenancy_tenant_given', relation)]),
               (3, format('ACCESS EXCLUSIVE on %s, briefly', relation),
                ARRAY[tenancy.staged_note(relation, undo), tenancy.owner_statement(relation, 70, step),
                      format('ALTER TABLE %s DROP CONSTRAINT pg_tenancy_tenant_given', relation)])
           ) v (n, lock, statements)
     ORDER BY v.n;
    END;
COMMENT ON FUNCTION tenancy.staged_not_null(regclass, text, text, jsonb) IS 'Administrators only: SET NOT NULL, without reading the rows while others wait';
