-- A user who is to be forgotten. What names him goes, and where a row must say who made it, it says a pseudonym that
-- nothing else leads to.

-- Owner columns of protected tables. keyed: the foreign key, if any, that lets no pseudonym in.
CREATE FUNCTION tenancy.owner_columns() RETURNS TABLE (relation regclass, column_name text, required boolean, keyed text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT p.table_id, a.attname::text,
           -- Partitions and children may be stricter than the table named in protect_table.
           EXISTS (SELECT FROM tenancy.covered_relations(p.table_id) r
                     JOIN pg_attribute b ON b.attrelid = r.relation AND b.attname = a.attname AND b.attnotnull),
           (SELECT min(format('%I on %s', c.conname, c.conrelid::regclass)) FROM tenancy.covered_relations(p.table_id) r
              JOIN pg_attribute b ON b.attrelid = r.relation AND b.attname = a.attname
              JOIN pg_constraint c ON c.conrelid = r.relation AND c.contype = 'f' AND b.attnum = ANY (c.conkey))
      FROM tenancy.protected_tables p
      JOIN pg_class t ON t.oid = p.table_id
      JOIN pg_attribute a ON a.attrelid = p.table_id AND a.attname = p.options ->> 'owner_column' AND NOT a.attisdropped
     WHERE p.table_id = p.root_id AND a.atttypid = 'uuid'::regtype
     ORDER BY p.table_id::text COLLATE "C";
    END;
COMMENT ON FUNCTION tenancy.owner_columns() IS 'Administrators only: owner columns of protected tables, whether they may be NULL, and a foreign key on them';

CREATE FUNCTION tenancy.owned_by_nobody_else(user_id uuid) RETURNS bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    WITH RECURSIVE his (id) AS MATERIALIZED (
        SELECT m.tenant_id FROM tenancy.members m WHERE m.user_id = owned_by_nobody_else.user_id
    ), role (id) AS (
        SELECT r.id FROM tenancy.roles r WHERE r.builtin AND r.name = 'owner'
        UNION
        SELECT i.senior_id FROM role r JOIN tenancy.role_inheritance i ON i.junior_id = r.id
    ), holder (tenant_id, user_id) AS MATERIALIZED (
        SELECT g.tenant_id, g.user_id FROM tenancy.member_roles g JOIN role r ON r.id = g.role_id JOIN his t ON t.id = g.tenant_id
         WHERE g.expires_at IS NULL OR g.expires_at > now()
        UNION
        SELECT g.tenant_id, m.user_id FROM tenancy.group_roles g JOIN role r ON r.id = g.role_id JOIN his t ON t.id = g.tenant_id
          JOIN tenancy.group_members m ON m.tenant_id = g.tenant_id AND m.group_id = g.group_id
    )
    SELECT count(*) FROM holder h
     WHERE h.user_id = owned_by_nobody_else.user_id
       AND NOT EXISTS (SELECT FROM holder o JOIN tenancy.members m ON m.tenant_id = o.tenant_id AND m.user_id = o.user_id AND m.status = 'active'
                        WHERE o.tenant_id = h.tenant_id AND o.user_id <> h.user_id);
    END;
COMMENT ON FUNCTION tenancy.owned_by_nobody_else(uuid) IS 'Administrators only: how many tenants have no owner, directly, by a group or by inheritance, but this user';

CREATE FUNCTION tenancy.erase_user(user_id uuid) RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    pseudonym uuid := gen_random_uuid();
    item record;
    affected bigint;
    changes bigint := 0;
    ownerless bigint;
    held boolean;
    attached tenancy.attached_tables;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to erase a user' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    IF user_id IS NULL OR user_id = tenancy.nil() THEN
        RAISE EXCEPTION 'user_id must be a user''s id' USING ERRCODE = '22023';
    END IF;
    SELECT a.* INTO attached FROM tenancy.attached_tables a JOIN pg_class c ON c.oid = a.relation WHERE a.kind = 'members';
    FOR item IN SELECT v.relation FROM (SELECT o.relation FROM tenancy.owner_columns() o UNION SELECT attached.relation) v
                 WHERE v.relation IS NOT NULL ORDER BY v.relation::text COLLATE "C" LOOP
        IF row_security_active(item.relation) THEN
            RAISE EXCEPTION 'permission denied to erase a user: row-level security hides rows' USING ERRCODE = '42501',
                DETAIL = format('Of table %s.', item.relation), HINT = 'A superuser or a role with BYPASSRLS may.';
        END IF;
    END LOOP;
    FOR item IN SELECT * FROM tenancy.owner_columns() LOOP
        CONTINUE WHEN item.keyed IS NULL OR NOT item.required;
        held := 'true' = ANY (tenancy.read_parts(item.relation, 'SELECT EXISTS (SELECT FROM ', format(' WHERE %I = %L)::text', item.column_name, user_id)));
        IF held THEN
            RAISE EXCEPTION 'table % cannot forget the user', item.relation USING ERRCODE = '2BP01',
                DETAIL = format('Column "%s" is NOT NULL and has foreign key %s, which lets no pseudonym in.', item.column_name, item.keyed),
                HINT = 'Give his rows to another user first, or drop NOT NULL or the foreign key.';
        END IF;
    END LOOP;
    -- This may take long and waits for nobody but who writes the same rows.
    FOR item IN SELECT o.column_name, o.keyed, p.* FROM tenancy.owner_columns() o, tenancy.parts_by_owner(o.relation) p LOOP
        changes := changes + tenancy.change_rows(item.relation, format('UPDATE %s SET %I = %L WHERE %2$I = %4$L', item.source, item.column_name,
                                                                       CASE WHEN item.keyed IS NULL THEN pseudonym END, user_id), 'UPDATE');
    END LOOP;
    ownerless := tenancy.owned_by_nobody_else(user_id);
    IF attached.relation IS NOT NULL THEN
        changes := changes + tenancy.change_rows(attached.relation, format('DELETE FROM ONLY %s h WHERE %s', attached.relation,
            CASE WHEN tenancy.attached_type(attached, 'user') = 'uuid'::regtype THEN format('h.%I = %L', attached.columns ->> 'user', user_id)
                 ELSE format('h.%I::text = ANY (%L)', attached.columns ->> 'user',
                             ARRAY(SELECT s.subject FROM tenancy.subjects s WHERE s.user_id = erase_user.user_id)) END), 'DELETE');
    END IF;
    -- Who is being made a member, or grants something, at this moment would be overlooked.
    LOCK TABLE tenancy.members, tenancy.member_roles, tenancy.operators IN SHARE ROW EXCLUSIVE MODE;
    FOR item IN SELECT v.statement FROM unnest(ARRAY[
        'DELETE FROM tenancy.members x WHERE x.user_id = $1',
        'DELETE FROM tenancy.operators x WHERE x.user_id = $1',
        'DELETE FROM tenancy.user_profiles x WHERE x.user_id = $1',
        'DELETE FROM tenancy.subjects x WHERE x.user_id = $1',
        'DELETE FROM tenancy.sync_failures x WHERE x.user_id = $1 OR position($1::text IN x.message) > 0',
        'UPDATE tenancy.claims_queue x SET user_ids = array_remove(x.user_ids, $1) WHERE x.user_ids @> ARRAY[$1]',
        'UPDATE tenancy.claims_queue x SET after_user = NULL WHERE x.after_user = $1']) v (statement) LOOP
        EXECUTE item.statement USING user_id;
        GET DIAGNOSTICS affected = ROW_COUNT;
        changes := changes + affected;
    END LOOP;
    FOR item IN SELECT v.statement FROM unnest(ARRAY[
        'UPDATE tenancy.member_roles x SET granted_by = $2 WHERE x.granted_by = $1',
        'UPDATE tenancy.operators x SET granted_by = $2 WHERE x.granted_by = $1']) v (statement) LOOP
        EXECUTE item.statement USING user_id, pseudonym;
        GET DIAGNOSTICS affected = ROW_COUNT;
        changes := changes + affected;
    END LOOP;
    IF ownerless > 0 THEN
        RAISE NOTICE '% tenant(s) have no owner any more', ownerless USING HINT = 'Administrators may make one: SELECT tenancy.add_member(tenant, user_id, ''{owner}'');';
    END IF;
    RETURN CASE WHEN changes > 0 THEN pseudonym END;
END
$$;
COMMENT ON FUNCTION tenancy.erase_user(uuid) IS 'Administrators only: forgets a user, in the host''s tables with the rights of their owners: his memberships with all they hold, profile, chosen tenant, operator row and subjects go, his rows in the attached table of members too, and who granted something, and owner columns of protected tables, become a pseudonym, or NULL where a foreign key lets none in. A NOTICE counts tenants that he was the last owner of. The host''s users table is the host''s. Returns the pseudonym, NULL if nothing named him. Errors: 42501 not an administrator, row-level security hides rows, or what a table''s owner may not; 22023 no user id; 2BP01 an owner column is NOT NULL and has a foreign key';
