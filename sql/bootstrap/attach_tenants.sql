-- Attaching the host's own table of tenants: its rows become tenants, by a trigger that is dumped with the host's table.
-- The trigger runs as our owner, for whoever writes the host's table need not be allowed to make tenants: that his rows
-- make them is what the administrator who attached it decided. It touches none but the tenants that came from this table.

-- A table and its columns are the host's, who may change them: looked at again before anything is read with our rights,
-- so that no view's, cast's, domain's or virtual column's code runs with them. Whoever asks has the table locked.
CREATE FUNCTION tenancy.check_attached_columns(relation regclass, columns jsonb) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong record;
    types regtype[];
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind = 'r') THEN
        RAISE EXCEPTION 'attached table % is no table any more', relation USING ERRCODE = '55000';
    END IF;
    FOR wrong IN
        SELECT v.key AS purpose, v.value AS name, a.atttypid, a.attgenerated,
               v.key IN ('key', 'tenant', 'user')
               AND NOT coalesce((SELECT l.collisdeterministic FROM pg_collation l WHERE l.oid = a.attcollation), true) AS inexact FROM jsonb_each_text(columns) v
          LEFT JOIN pg_attribute a ON a.attrelid = relation AND a.attname = v.value AND a.attnum > 0 AND NOT a.attisdropped
         WHERE v.value IS NOT NULL
         ORDER BY v.key
    LOOP
        types := CASE wrong.purpose WHEN 'key' THEN '{uuid,bigint,integer,text,varchar}' WHEN 'tenant' THEN '{uuid,bigint,integer,text,varchar}'
                                    WHEN 'user' THEN '{uuid,bigint,integer,text,varchar}' WHEN 'active' THEN '{boolean}'
                                    ELSE '{text,varchar,bpchar}' END;
        IF wrong.atttypid IS NULL THEN
            RAISE EXCEPTION 'column "%" of table % does not exist', wrong.name, relation USING ERRCODE = '22023',
                HINT = format('It is to be the column of the %s.', wrong.purpose);
        ELSIF wrong.attgenerated = 'v' OR NOT (wrong.atttypid = ANY (types) OR wrong.purpose = 'name' AND tenancy.column_type_fits(wrong.atttypid, types)
                     OR wrong.purpose = 'role' AND EXISTS (SELECT FROM pg_type t WHERE t.oid = wrong.atttypid AND t.typtype = 'e')) THEN
            RAISE EXCEPTION 'column "%" of table % is of type %', wrong.name, relation, wrong.atttypid::regtype USING ERRCODE = '0A000',
                HINT = format('As the column of the %s it must be one of %s%s, and no virtual column.', wrong.purpose, array_to_string(types, ', '),
                              CASE wrong.purpose WHEN 'role' THEN ', or an enum' ELSE '' END);
        ELSIF wrong.inexact THEN
            RAISE EXCEPTION 'column "%" of table % has a nondeterministic collation', wrong.name, relation USING ERRCODE = '0A000',
                DETAIL = 'Texts that differ could be equal under it, and so one''s rows count as another''s.',
                HINT = format('ALTER TABLE %s ALTER COLUMN %I TYPE text COLLATE "default"; or another deterministic collation.', relation, wrong.name);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.check_attached_columns(regclass, jsonb) IS 'Administrators only: 55000, 22023 or 0A000 if an attached table, or a column of it, is not one that may be read with our rights';

CREATE FUNCTION tenancy.check_attachable("table" regclass, columns jsonb, another text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation pg_class%ROWTYPE;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to attach a table of %', another USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    SELECT c.* INTO relation FROM pg_class c WHERE c.oid = "table";
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table must be given' USING ERRCODE = '22023',
            HINT = 'Pass the table''s name, as in ''public.organisations''.';
    END IF;
    IF relation.relkind <> 'r' OR relation.relpersistence = 't' OR relation.oid < 16384
       OR relation.relnamespace = 'tenancy'::regnamespace OR relation.relhassubclass THEN
        RAISE EXCEPTION 'cannot attach % as table of %', "table", another USING ERRCODE = '0A000',
            DETAIL = 'It must be an ordinary table of the host application, with no partitions and no children.';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a table can only be attached in a transaction that is READ COMMITTED' USING ERRCODE = '55000',
            DETAIL = 'At another level rows committed meanwhile would be overlooked.';
    END IF;
    IF EXISTS (SELECT FROM tenancy.attached_tables a JOIN pg_class c ON c.oid = a.relation
                WHERE a.kind = another AND a.relation <> "table") THEN
        RAISE EXCEPTION 'another table of % is attached already', another USING ERRCODE = '55000',
            HINT = format('SELECT tenancy.detach_%s(); then attach this one.', another);
    END IF;
    PERFORM tenancy.check_attached_columns("table", columns);
END
$$;
COMMENT ON FUNCTION tenancy.check_attachable(regclass, jsonb, text) IS 'Administrators only: 42501 for anybody else; 22023, 0A000 or 55000 for a table that cannot be attached';

CREATE FUNCTION tenancy.drop_attached_triggers(kind text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
BEGIN
    FOR item IN SELECT g.tgname, g.tgrelid::regclass AS relation
                  FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
                 WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND p.pronamespace = 'tenancy'::regnamespace
                   AND g.tgname ~ ('^[!~]pg_tenancy_attached_' || kind) LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', item.tgname, item.relation);
    END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.drop_attached_triggers(text) IS 'Administrators only: takes our triggers off a host''s table of tenants or members';

-- A slug from what the host has: as it is if it is one, else made from it. Which of them is free is for the caller to try.
CREATE FUNCTION tenancy.slug_candidates(slug text, name text, key text, id uuid) RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT array_agg(c.slug ORDER BY c.n) FROM (
        SELECT v.n, CASE WHEN v.n = 4 THEN 'tenant-' || v.made
                         WHEN v.suffix IS NULL THEN v.made
                         ELSE rtrim(left(v.made, 62 - length(v.suffix)), '-') || '-' || v.suffix END AS slug
          FROM (SELECT b.n, b.suffix,
                       trim(BOTH '-' FROM left(trim(BOTH '-' FROM regexp_replace(lower(b.base COLLATE "C"), '[^a-z0-9]+', '-', 'g')), 63)) AS made
                  FROM (VALUES (1, coalesce(nullif(slug_candidates.slug, ''), slug_candidates.name, slug_candidates.key), NULL),
                               (2, coalesce(nullif(slug_candidates.slug, ''), slug_candidates.name, slug_candidates.key),
                                   nullif(trim(BOTH '-' FROM left(regexp_replace(lower(slug_candidates.key COLLATE "C"), '[^a-z0-9]+', '-', 'g'), 20)), '')),
                               (3, slug_candidates.key, 'tenant'),
                               (4, slug_candidates.id::text, NULL)) b (n, base, suffix)) v
         WHERE v.made <> ''
    ) c WHERE c.slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$';
    END;
COMMENT ON FUNCTION tenancy.slug_candidates(text, text, text, uuid) IS 'Administrators only: slugs to try for a tenant, the best first; the last is nobody else''s';

-- What a key of the host's is to us: uuids are the tenant's id, the others its key.
CREATE FUNCTION tenancy.attached_id(key text, type regtype) RETURNS uuid
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN type = 'uuid'::regtype OR key ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' THEN key::uuid END;
COMMENT ON FUNCTION tenancy.attached_id(text, regtype) IS 'Administrators only: the id that a tenant with this key of the host''s must have; NULL if any will do';

CREATE FUNCTION tenancy.insert_attached_tenant(key text, type regtype, name text, slug text, adopt boolean) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted_id uuid := tenancy.attached_id(key, type);
    wanted_key text := CASE WHEN type <> 'uuid'::regtype THEN key END;
    wanted_name text := left(coalesce(nullif(name, ''), nullif(slug, ''), key), 200);
    new_id uuid := coalesce(wanted_id, gen_random_uuid());
    candidate text;
    inserted boolean := false;
    found_id uuid;
BEGIN
    IF key = '' OR length(key) > 200 OR wanted_id = tenancy.nil() THEN
        RAISE EXCEPTION 'invalid key of a tenant' USING ERRCODE = '22023',
            DETAIL = 'A key is 1 to 200 characters, and not the nil uuid.';
    END IF;
    FOREACH candidate IN ARRAY tenancy.slug_candidates(slug, name, key, new_id) LOOP
        -- Whose key it is decides first, and is told apart from whose slug it is.
        SELECT t.id INTO found_id FROM tenancy.tenants t
         WHERE t.id = wanted_id OR t.key = wanted_key;
        EXIT WHEN FOUND;
        -- The time-ordered default where there is one.
        IF wanted_id IS NULL THEN
            INSERT INTO tenancy.tenants (key, slug, name) VALUES (wanted_key, candidate, wanted_name)
            ON CONFLICT DO NOTHING RETURNING id INTO new_id;
        ELSE
            INSERT INTO tenancy.tenants (id, key, slug, name) VALUES (wanted_id, wanted_key, candidate, wanted_name)
            ON CONFLICT DO NOTHING RETURNING id INTO new_id;
        END IF;
        inserted := FOUND;
        EXIT WHEN inserted;
    END LOOP;
    IF EXISTS (SELECT FROM tenancy.attached_tenants a WHERE a.tenant_id = found_id AND a.leaving) THEN
        RAISE EXCEPTION 'key "%" is that of a tenant that is being deleted', key USING ERRCODE = '42710',
            DETAIL = 'It goes when the transaction ends, with the rows that refer to it.', HINT = 'Insert the row in the next transaction.';
    ELSIF NOT inserted AND (found_id IS NULL OR NOT adopt AND NOT EXISTS (SELECT FROM tenancy.attached_tenants a WHERE a.tenant_id = found_id)) THEN
        RAISE EXCEPTION 'key "%" is another tenant''s', key USING ERRCODE = '42710',
            DETAIL = 'A tenant with it was not made by the attached table of tenants.',
            HINT = 'An administrator may take that tenant in: SELECT tenancy.detach_tenants(), insert the row, and attach the table again.';
    END IF;
    INSERT INTO tenancy.attached_tenants (tenant_id) VALUES (CASE WHEN inserted THEN new_id ELSE found_id END) ON CONFLICT DO NOTHING;
    RETURN inserted;
END
$$;
COMMENT ON FUNCTION tenancy.insert_attached_tenant(text, regtype, text, text, boolean) IS 'Administrators only: makes the tenant of a row of the attached table; one that is there already only if it came from there, or with adopt. Returns whether it made one. Errors: 22023 invalid key; 42710 another tenant''s key';

-- Rows that the host's cascades take by several steps are gone after our trigger on its table only.
CREATE FUNCTION tenancy.delete_leaving_tenant() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
    DELETE FROM tenancy.tenants t WHERE t.id = NEW.tenant_id;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tenancy.delete_leaving_tenant() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.delete_leaving_tenant() IS 'Trigger function: deletes a tenant whose row in the attached table is gone';
CREATE CONSTRAINT TRIGGER delete_leaving_tenant AFTER UPDATE OF leaving ON tenancy.attached_tenants
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.leaving) EXECUTE FUNCTION tenancy.delete_leaving_tenant();
COMMENT ON TRIGGER delete_leaving_tenant ON tenancy.attached_tenants IS 'A tenant that rows referred to when its own was deleted goes when the transaction ends';

CREATE FUNCTION tenancy.project_tenant() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    attached tenancy.attached_tables;
    parts text;
    was text[];
    is_now text[];
    type regtype;
    new_name text;
    candidate text;
BEGIN
    SELECT a.* INTO attached FROM tenancy.attached_tables a WHERE a.kind = 'tenants' AND a.relation = TG_RELID;
    -- In a restore of data only, perhaps not yet: then the tenants come as they were.
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM tenancy.check_attached_columns(attached.relation, attached.columns);
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM tenancy.tenants t USING tenancy.attached_tenants a WHERE a.tenant_id = t.id;
        RETURN NULL;
    END IF;
    SELECT a.atttypid INTO type FROM pg_attribute a
     WHERE a.attrelid = TG_RELID AND a.attname = attached.columns ->> 'key' AND NOT a.attisdropped;
    parts := format('SELECT ARRAY[($1).%I::text, %s, %s]', attached.columns ->> 'key',
                    coalesce('($1).' || quote_ident(attached.columns ->> 'name') || '::text', 'NULL'),
                    coalesce('($1).' || quote_ident(attached.columns ->> 'slug') || '::text', 'NULL'));
    IF TG_OP <> 'INSERT' THEN
        EXECUTE parts INTO was USING OLD;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        EXECUTE parts INTO is_now USING NEW;
    END IF;
    IF TG_OP = 'DELETE' THEN
        BEGIN
            DELETE FROM tenancy.tenants t USING tenancy.attached_tenants a
             WHERE a.tenant_id = t.id AND (t.id = tenancy.attached_id(was[1], type) OR t.key = was[1]);
        EXCEPTION WHEN foreign_key_violation OR restrict_violation THEN
            UPDATE tenancy.attached_tenants a SET leaving = true
              FROM tenancy.tenants t WHERE a.tenant_id = t.id AND (t.id = tenancy.attached_id(was[1], type) OR t.key = was[1]);
        END;
    ELSIF was[1] IS NULL THEN
        IF is_now[1] IS NOT NULL THEN
            PERFORM tenancy.insert_attached_tenant(is_now[1], type, is_now[2], is_now[3], false);
        END IF;
    ELSIF was[1] IS DISTINCT FROM is_now[1] THEN
        RAISE EXCEPTION 'the key of a tenant cannot be changed' USING ERRCODE = '23514', CONSTRAINT = 'immutable_key',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
            HINT = 'Rows of protected tables are found by it. Insert a row with the new key and move them, or detach the table first.';
    ELSIF was IS DISTINCT FROM is_now THEN
        new_name := left(coalesce(nullif(is_now[2], ''), nullif(is_now[3], ''), is_now[1]), 200);
        IF new_name <> left(coalesce(nullif(was[2], ''), nullif(was[3], ''), was[1]), 200) THEN
            UPDATE tenancy.tenants t SET name = new_name
              FROM tenancy.attached_tenants a
             WHERE a.tenant_id = t.id AND (t.id = tenancy.attached_id(is_now[1], type) OR t.key = is_now[1]);
        END IF;
        IF was[3] IS DISTINCT FROM is_now[3] THEN
            FOREACH candidate IN ARRAY tenancy.slug_candidates(is_now[3], is_now[2], is_now[1], gen_random_uuid()) LOOP
                BEGIN
                    UPDATE tenancy.tenants t SET slug = candidate
                      FROM tenancy.attached_tenants a
                     WHERE a.tenant_id = t.id AND (t.id = tenancy.attached_id(is_now[1], type) OR t.key = is_now[1]);
                    EXIT;
                EXCEPTION WHEN unique_violation THEN
                    NULL; -- the next
                END;
            END LOOP;
        END IF;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tenancy.project_tenant() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.project_tenant() IS 'Trigger function: what happens to rows of the attached table of tenants happens to the tenants';

CREATE FUNCTION tenancy.attach_tenants("table" regclass, key_column name DEFAULT 'id', name_column name DEFAULT NULL, slug_column name DEFAULT NULL)
    RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    wanted jsonb;
    known tenancy.attached_tables;
    type regtype;
    host_row record;
    parts text;
    copy regclass;
    changed boolean := false;
    adopted bigint;
BEGIN
    IF "table" IS NOT NULL AND key_column IS NULL THEN
        RAISE EXCEPTION 'key_column must be given' USING ERRCODE = '22023';
    END IF;
    wanted := jsonb_strip_nulls(jsonb_build_object('key', key_column, 'name', name_column, 'slug', slug_column));
    PERFORM tenancy.check_attachable("table", wanted, 'tenants');
    IF NOT EXISTS (SELECT FROM pg_index i
                    WHERE i.indrelid = "table" AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL
                      AND i.indnkeyatts = 1 AND i.indkey[0] = tenancy.column_number("table", key_column)) THEN
        RAISE EXCEPTION 'column "%" of table % is not unique', key_column, "table" USING ERRCODE = '55000',
            HINT = format('ALTER TABLE %s ADD UNIQUE (%I);', "table", key_column);
    END IF;
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', "table");
    PERFORM tenancy.check_attached_columns("table", wanted);
    SELECT a.* INTO known FROM tenancy.attached_tables a WHERE a.kind = 'tenants';
    SELECT a.atttypid INTO type FROM pg_attribute a WHERE a.attrelid = "table" AND a.attnum = tenancy.column_number("table", key_column);
    IF known.relation = "table" AND known.columns ->> 'key' <> key_column AND EXISTS (SELECT FROM tenancy.attached_tenants) THEN
        RAISE EXCEPTION 'the tenants of % are known by column "%"', "table", known.columns ->> 'key' USING ERRCODE = '55000',
            HINT = 'SELECT tenancy.detach_tenants(); then attach it by the other column.';
    END IF;
    IF known.relation IS DISTINCT FROM "table" OR known.columns IS DISTINCT FROM wanted THEN
        INSERT INTO tenancy.attached_tables (kind, relation, columns) VALUES ('tenants', "table", wanted)
        ON CONFLICT (kind) DO UPDATE SET relation = excluded.relation, columns = excluded.columns;
        changed := true;
    END IF;
    FOR host_row IN
        SELECT v.name, v.definition FROM (VALUES
            -- Names decide the order: the tenant is there before foreign keys of the table itself are checked, as when it is
            -- protected, and goes after what the host's foreign keys take with the row.
            ('!pg_tenancy_attached_tenants', 'AFTER INSERT OR UPDATE ON %s FOR EACH ROW'),
            ('~pg_tenancy_attached_tenants', 'AFTER DELETE ON %s FOR EACH ROW'),
            ('~pg_tenancy_attached_tenants_truncate', 'AFTER TRUNCATE ON %s FOR EACH STATEMENT')) v (name, definition)
         WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = "table" AND t.tgname = v.name AND t.tgenabled IN ('O', 'A'))
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER %I ' || host_row.definition || ' EXECUTE FUNCTION tenancy.project_tenant()', host_row.name, "table");
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', "table", host_row.name);
        changed := true;
    END LOOP;
    adopted := 0;
    -- Those that are tenants already and came from here need no looking at.
    parts := format('SELECT o.%I::text AS key, %s AS name, %s AS slug FROM ONLY ', key_column,
                    coalesce('o.' || quote_ident(name_column) || '::text', 'NULL::text'), coalesce('o.' || quote_ident(slug_column) || '::text', 'NULL::text'));
    IF NOT tenancy.is_trusted_owner("table") THEN
        copy := tenancy.copy_parts("table", 'key text, name text, slug text', parts, format(' o WHERE o.%I IS NOT NULL', key_column));
    END IF;
    FOR host_row IN EXECUTE format(
        'SELECT h.key, h.name, h.slug
           FROM (%s) h
          WHERE NOT EXISTS (SELECT FROM tenancy.attached_tenants a JOIN tenancy.tenants t ON t.id = a.tenant_id
                             WHERE %s) ORDER BY h.key COLLATE "C"',
        CASE WHEN copy IS NULL THEN concat(parts, "table", format(' o WHERE o.%I IS NOT NULL', key_column)) ELSE format('SELECT * FROM %s', copy) END,
        CASE WHEN type = 'uuid'::regtype THEN 't.id = h.key::uuid' ELSE 't.key = h.key' END)
    LOOP
        IF NOT tenancy.insert_attached_tenant(host_row.key, type, host_row.name, host_row.slug, true) THEN
            adopted := adopted + 1;
        END IF;
        changed := true;
    END LOOP;
    IF copy IS NOT NULL THEN
        DROP TABLE pg_temp."~pg_tenancy_copy";
    END IF;
    IF adopted > 0 THEN
        RAISE NOTICE '% tenant(s) with keys of table % were there already, and go with its rows from now on', adopted, "table";
    END IF;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION tenancy.attach_tenants(regclass, name, name, name) IS 'Administrators only: makes each row of the host''s table a tenant, now and from now on; a deleted row''s tenant is deleted. Tenants that have these keys already are taken in. Called again it repairs. Returns whether anything changed. Errors: 42501 not an administrator; 22023 no such column, or an invalid key; 0A000 not an ordinary table, or a column of a type that does not fit; 55000 keys not unique, or another table attached';

CREATE FUNCTION tenancy.detach_tenants() RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    attached boolean;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to detach the table of tenants' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    DELETE FROM tenancy.attached_tables a WHERE a.kind = 'tenants';
    attached := FOUND;
    PERFORM tenancy.drop_attached_triggers('tenants');
    DELETE FROM tenancy.attached_tenants;
    RETURN attached;
END
$$;
COMMENT ON FUNCTION tenancy.detach_tenants() IS 'Administrators only: undoes attach_tenants; the tenants stay. Returns whether a table was attached. Errors: 42501 not an administrator';
