-- What an administrator has done to a table of somebody else's. Its owner decides what runs then: triggers where rows are
-- written, and where they are read, or the table is altered, what its indexes, statistics, constraints and generated columns
-- compute, some of it while Postgres plans. So it is done with the owner's rights, not the administrator's, unless these are the same.

-- A table, or one of several that are written as one.
CREATE FUNCTION tenancy.is_trusted_owner(relation regclass) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT r.rolsuper OR r.rolname = current_user FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = relation);
COMMENT ON FUNCTION tenancy.is_trusted_owner(regclass) IS 'Administrators only: whether the owner of a table is a superuser or the current user';

-- All that a statement on the table reaches, also what is protected by a call of its own.
CREATE FUNCTION tenancy.relations_below(root regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH RECURSIVE tree (id) AS (
        SELECT root::oid
        UNION
        SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.id
    )
    SELECT t.id::regclass FROM tree t JOIN pg_class c ON c.oid = t.id WHERE c.relpersistence <> 't' OR t.id = root;
    END;
COMMENT ON FUNCTION tenancy.relations_below(regclass) IS 'Administrators only: a table and its partitions and children of every level';

CREATE FUNCTION tenancy.trusts_owners(root regclass) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN NOT EXISTS (SELECT FROM tenancy.relations_below(root) r WHERE NOT tenancy.is_trusted_owner(r));
COMMENT ON FUNCTION tenancy.trusts_owners(regclass) IS 'Administrators only: whether the owners of a table and all below it are superusers or the current user';

-- A table as it can be read and written with one owner's rights: as a whole, or where partitions or children are others', each.
CREATE FUNCTION tenancy.parts_by_owner(root regclass) RETURNS TABLE (relation regclass, source text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH line AS MATERIALIZED (
        SELECT c.oid, c.relowner, c.relkind FROM tenancy.relations_below(root) r JOIN pg_class c ON c.oid = r
    ), whole AS MATERIALIZED (
        SELECT count(DISTINCT l.relowner) = 1 OR tenancy.trusts_owners(root) AS is_one FROM line l
    )
    SELECT l.oid::regclass, CASE WHEN w.is_one THEN '' ELSE 'ONLY ' END || l.oid::regclass FROM line l, whole w
     WHERE CASE WHEN w.is_one THEN l.oid = root ELSE l.relkind <> 'p' END
     ORDER BY l.oid::regclass::text COLLATE "C";
    END;
COMMENT ON FUNCTION tenancy.parts_by_owner(regclass) IS 'Administrators only: how a table is read and written with the rights of its owners: itself, or each of what is below it; source stands after FROM';

-- Code that somebody else made and that Postgres runs whenever it plans a query on the table, if only what is constant in it:
-- nothing built in is among what these depend on. Of CHECK constraints that is so with constraint_exclusion only, which is off
-- where this is asked.
CREATE FUNCTION tenancy.computed_by_others(root regclass) RETURNS TABLE (relation regclass, object text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH line (id) AS MATERIALIZED (
        SELECT r::oid FROM tenancy.relations_below(root) r
        UNION
        SELECT a.relid::oid FROM pg_partition_ancestors(root) a (relid)
    ), object (relation, class, id) AS MATERIALIZED (
        SELECT i.indrelid, 'pg_class'::regclass::oid, i.indexrelid FROM pg_index i JOIN line l ON l.id = i.indrelid WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
        UNION ALL
        SELECT s.stxrelid, 'pg_statistic_ext'::regclass, s.oid FROM pg_statistic_ext s JOIN line l ON l.id = s.stxrelid WHERE s.stxexprs IS NOT NULL
        UNION ALL
        SELECT d.adrelid, 'pg_attrdef'::regclass, d.oid FROM pg_attrdef d JOIN line l ON l.id = d.adrelid
          JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attgenerated = 'v'
        UNION ALL
        SELECT p.partrelid, 'pg_class'::regclass, p.partrelid FROM pg_partitioned_table p JOIN line l ON l.id = p.partrelid WHERE p.partexprs IS NOT NULL
    )
    SELECT DISTINCT o.relation::regclass, pg_describe_object(o.class, o.id, 0)
      FROM object o
      JOIN pg_depend d ON d.classid = o.class AND d.objid = o.id AND d.objsubid = 0
      LEFT JOIN pg_operator x ON d.refclassid = 'pg_operator'::regclass AND x.oid = d.refobjid
      LEFT JOIN pg_proc f ON d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) AND f.oid = coalesce(x.oprcode, d.refobjid)
      LEFT JOIN pg_type y ON d.refclassid = 'pg_type'::regclass AND y.oid = d.refobjid
      JOIN pg_roles r ON r.oid IN (x.oprowner, f.proowner, y.typowner)
     WHERE NOT r.rolsuper AND r.rolname <> current_user;
    END;
COMMENT ON FUNCTION tenancy.computed_by_others(regclass) IS 'Administrators only: indexes, statistics, virtual columns and partition keys of a table, what is below and what above it, that compute with functions, operators or types whose owners are neither superusers nor the current user';

-- What the caller lets a query compute of the rows is his, and computed with his rights: so it must be all that is computed. The
-- table must be locked, so that this stays so.
CREATE FUNCTION tenancy.check_computed(root regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first record;
BEGIN
    IF NOT tenancy.trusts_owners(root) THEN
        SELECT c.* INTO first FROM tenancy.computed_by_others(root) c ORDER BY c.relation::text COLLATE "C", c.object COLLATE "C" LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'rows of table % cannot be read without code of its owner''s running with your rights', root USING ERRCODE = '55000',
                DETAIL = format('Postgres computes %s of table %s whenever it plans a query on it.', first.object, first.relation),
                HINT = 'Drop it for as long as this takes, or give what it computes with to a role that you trust. A backfill that is one tenant''s id needs neither.';
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_computed(regclass) IS 'Administrators only: 55000 if a query of the caller''s on a table of somebody else''s would run code that its owner made';

-- Until the transaction ends nobody adds anything to the table that computes.
CREATE FUNCTION tenancy.hold_computed(root regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT tenancy.trusts_owners(root) THEN
        EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', root);
        PERFORM tenancy.check_computed(root);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.hold_computed(regclass) IS 'Administrators only: locks a table of somebody else''s so that check_computed holds until the transaction ends. Errors: as of that';

-- The query is one of ours, as what stands before and after the table's name: the first column of what it gives, as text.
CREATE FUNCTION tenancy.read_parts(root regclass, head text, tail text) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part record;
    line text;
    lines text[] := '{}';
BEGIN
    FOR part IN SELECT * FROM tenancy.parts_by_owner(root) LOOP
        IF tenancy.is_trusted_owner(part.relation) THEN
            FOR line IN EXECUTE head || part.source || tail LOOP
                lines := lines || line;
            END LOOP;
        ELSE
            lines := lines || tenancy.read_as_owner(part.relation, head || part.source || tail);
        END IF;
    END LOOP;
    RETURN lines;
END
$$;
COMMENT ON FUNCTION tenancy.read_parts(regclass, text, text) IS 'Administrators only: the first column of what a query on a table gives, executed with the rights of the table''s owner, or for each of its partitions and children with its owner''s';

-- What is deferred would run at commit, as whoever commits: so nothing is, and what was deferred before is the caller's still.
CREATE FUNCTION tenancy.change_rows(relation regclass, statement text, allowed_by text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    IF tenancy.trusts_owners(relation) THEN
        EXECUTE statement;
        GET DIAGNOSTICS changed = ROW_COUNT;
        RETURN changed;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    changed := tenancy.change_as_owner(relation, statement, allowed_by);
    IF changed IS NULL THEN
        RAISE EXCEPTION 'permission denied to write as the owner of table %', relation USING ERRCODE = '42501',
            HINT = 'You must be a member of that role' || coalesce(format(', or have SELECT and %s on the table.', allowed_by), '.');
    END IF;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION tenancy.change_rows(regclass, text, text) IS 'Administrators only: executes a statement that changes rows of a table with the rights of its owner, for members of that role, or whom a privilege allows it, UPDATE or DELETE; how many it changed. Errors: 42501 for anybody else, or what the owner may not; a trigger that his code defers';

CREATE FUNCTION tenancy.change_and_tell(relation regclass, statement text, allowed_by text) RETURNS text[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    line text;
    lines text[] := '{}';
BEGIN
    IF tenancy.trusts_owners(relation) THEN
        FOR line IN EXECUTE statement LOOP
            lines := lines || line;
        END LOOP;
        RETURN lines;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    lines := tenancy.change_and_tell_as_owner(relation, statement, allowed_by);
    IF lines IS NULL THEN
        RAISE EXCEPTION 'permission denied to write as the owner of table %', relation USING ERRCODE = '42501',
            HINT = 'You must be a member of that role' || coalesce(format(', or have SELECT and %s on the table.', allowed_by), '.');
    END IF;
    RETURN lines;
END
$$;
COMMENT ON FUNCTION tenancy.change_and_tell(regclass, text, text) IS 'Administrators only: as change_rows, for a statement that returns something: the first column of that';

-- Rows of a table of somebody else's, for a query of ours that reads more than its owner may: a temporary table, which the
-- caller drops.
-- The query gives columns of these types, which are built-in ones.
CREATE FUNCTION tenancy.copy_parts(root regclass, columns text, head text, tail text) RETURNS regclass
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part record;
BEGIN
    EXECUTE format('CREATE TEMPORARY TABLE "~pg_tenancy_copy" (%s)', columns);
    FOR part IN SELECT p.*, r.rolname FROM tenancy.parts_by_owner(root) p JOIN pg_class c ON c.oid = p.relation JOIN pg_roles r ON r.oid = c.relowner LOOP
        EXECUTE format('GRANT INSERT ON pg_temp."~pg_tenancy_copy" TO %I', part.rolname);
        PERFORM tenancy.change_rows(part.relation, 'INSERT INTO pg_temp."~pg_tenancy_copy" ' || head || part.source || tail);
        EXECUTE format('REVOKE INSERT ON pg_temp."~pg_tenancy_copy" FROM %I', part.rolname);
    END LOOP;
    ANALYZE pg_temp."~pg_tenancy_copy";
    RETURN to_regclass('pg_temp."~pg_tenancy_copy"');
END
$$;
COMMENT ON FUNCTION tenancy.copy_parts(regclass, text, text, text) IS 'Administrators only: what a query on a table gives, read with the rights of the table''s owner, as a temporary table. Errors: 42501 no member of that role, or the owner may not read his table';

-- ALTER TABLE that looks at rows or constraints. A foreign key is checked by a query with the rights of who alters the table, and row
-- by row, which takes much longer, where he may not read the other table, as an owner may not ours.
CREATE FUNCTION tenancy.check_foreign_key(key oid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET constraint_exclusion = off AS $$
DECLARE
    relation regclass;
    referenced regclass;
    statement text;
BEGIN
    SELECT c.conrelid, c.confrelid, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', c.conrelid::regclass, c.conname) INTO relation, referenced, statement
      FROM pg_constraint c WHERE c.oid = key;
    IF EXISTS (SELECT FROM tenancy.computed_by_others(referenced)) AND tenancy.is_trusted_owner(relation) THEN
        PERFORM tenancy.check_computed(referenced);
    END IF;
    IF NOT tenancy.is_trusted_owner(relation)
       AND (EXISTS (SELECT FROM tenancy.computed_by_others(relation)) OR EXISTS (SELECT FROM tenancy.computed_by_others(referenced))) THEN
        PERFORM tenancy.execute_as_owner(relation, statement);
    ELSE
        EXECUTE statement;
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_foreign_key(oid) IS 'Administrators only: validates a foreign key, with the rights of the table''s owner if that runs code of his. Errors: 55000 only the other table''s owner has such code';

CREATE PROCEDURE tenancy.alter_as_owner(relation regclass, statement text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    action text := substr(statement, length(format('ALTER TABLE %s ', relation)) + 1);
    is_partitioned boolean;
    part regclass;
    known oid[];
    key oid;
BEGIN
    IF tenancy.trusts_owners(relation) AND action LIKE 'ALTER %'
       OR (SELECT NOT pg_has_role(c.relowner, 'MEMBER') FROM pg_class c WHERE c.oid = relation) THEN
        EXECUTE statement;
        RETURN;
    END IF;
    IF action LIKE 'VALIDATE CONSTRAINT %' THEN
        -- The lock that it takes.
        EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', relation);
        SELECT c.oid INTO key FROM pg_constraint c WHERE c.conrelid = relation AND action = format('VALIDATE CONSTRAINT %I', c.conname);
        PERFORM tenancy.check_foreign_key(key);
        RETURN;
    END IF;
    EXECUTE format('LOCK TABLE %s IN %s MODE', relation, CASE WHEN action LIKE 'ADD %' THEN 'SHARE ROW EXCLUSIVE' ELSE 'ACCESS EXCLUSIVE' END);
    IF action LIKE 'ADD %' THEN
        SELECT c.relkind = 'p' INTO is_partitioned FROM pg_class c WHERE c.oid = relation;
        -- A partitioned table takes its partitions' keys for its own.
        FOR part IN SELECT r FROM tenancy.relations_below(relation) r JOIN pg_class c ON c.oid = r
                     WHERE c.relkind = 'r' AND (c.relispartition AND is_partitioned OR c.oid = relation) LOOP
            known := ARRAY(SELECT c.oid FROM pg_constraint c WHERE c.conrelid = part);
            EXECUTE format('ALTER TABLE %s %s NOT VALID', part, action);
            SELECT c.oid INTO key FROM pg_constraint c WHERE c.conrelid = part AND c.contype = 'f' AND c.oid <> ALL (known);
            PERFORM tenancy.check_foreign_key(key);
        END LOOP;
        IF is_partitioned THEN
            EXECUTE statement;
        END IF;
    ELSIF (SELECT count(*) FROM tenancy.parts_by_owner(relation) p WHERE p.source LIKE 'ONLY %') = 0 THEN
        PERFORM tenancy.execute_as_owner(relation, statement);
    ELSE
        FOR part IN SELECT p.relation FROM tenancy.parts_by_owner(relation) p WHERE p.relation <> alter_as_owner.relation LOOP
            PERFORM tenancy.execute_as_owner(part, format('ALTER TABLE ONLY %s %s', part, action));
        END LOOP;
        -- Nothing is left to look at below.
        IF tenancy.is_trusted_owner(relation) THEN
            EXECUTE statement;
        ELSE
            PERFORM tenancy.execute_as_owner(relation, format('ALTER TABLE ONLY %s %s', relation, action));
        END IF;
    END IF;
END
$$;
COMMENT ON PROCEDURE tenancy.alter_as_owner(regclass, text) IS 'Administrators only: SET NOT NULL, ADD CONSTRAINT of a foreign key or VALIDATE CONSTRAINT of one, so that code of the owner''s that this runs has his rights. Errors: as of the statement, and of check_foreign_key';

-- The statement as it is executed by somebody whose rights the owner is not to have.
CREATE FUNCTION tenancy.owner_statement(relation regclass, phase integer, statement text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN phase IN (70, 80) AND statement NOT LIKE '% DROP NOT NULL' AND NOT tenancy.trusts_owners(relation)
                THEN format('CALL tenancy.alter_as_owner(%L, %L)', relation, statement) ELSE statement END;
COMMENT ON FUNCTION tenancy.owner_statement(regclass, integer, text) IS 'Administrators only: a statement of protect_structure, by alter_as_owner where the owner''s code could run';
