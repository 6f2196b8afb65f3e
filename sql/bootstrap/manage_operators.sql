-- Operators: platform staff. Those with write access manage them too, within what they have themselves, so that no
-- database administrator is needed; plain DML meets the same rules, by policies and the guard below.

CREATE FUNCTION tenancy.check_operator() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT tenancy.is_administrator() AND tenancy.operator_access() IS DISTINCT FROM 'write' THEN
        RAISE EXCEPTION 'permission denied to change operators' USING ERRCODE = '42501',
            HINT = 'Operators with access "write" and administrators may.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_operator() IS 'Internal: 42501 unless the caller administers or is an operator with write access';

-- What ends by itself must not be able to outlive itself, by others' grants or one's own. The bound is read by the
-- newest state: a snapshot may be older than its shortening. Where tokens decide, it is the table's all the same.
CREATE FUNCTION tenancy.guard_operator() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me uuid := tenancy.current_user_id();
    until timestamptz;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        PERFORM tenancy.check_operator();
        until := tenancy.operator_until();
        IF TG_OP <> 'DELETE' AND NEW.user_id = me THEN
            RAISE EXCEPTION 'permission denied to change your own operator access' USING ERRCODE = '42501',
                HINT = 'You may give it up with tenancy.revoke_operator(). Another operator can change it.';
        END IF;
        IF TG_OP <> 'INSERT' AND OLD.user_id <> me AND (until >= coalesce(OLD.expires_at, 'infinity')) IS NOT TRUE
           OR TG_OP <> 'DELETE' AND (until >= coalesce(NEW.expires_at, 'infinity')) IS NOT TRUE THEN
            RAISE EXCEPTION 'permission denied: the access lasts longer than your own' USING ERRCODE = '42501',
                HINT = 'Nobody can hand out, or take away, more than he holds himself. Give an expires_at no later than your own.';
        END IF;
        IF TG_OP <> 'DELETE' THEN
            NEW.granted_by := me;
        END IF;
    ELSIF TG_OP = 'INSERT' AND NEW.granted_by IS NULL
          OR TG_OP = 'UPDATE' AND NEW.granted_by IS NOT DISTINCT FROM OLD.granted_by THEN
        NEW.granted_by := me;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_operator() IS 'Trigger function: no operator grants or revokes access that lasts longer than his own, or changes his own';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON tenancy.operators
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_operator();
COMMENT ON TRIGGER guard ON tenancy.operators IS 'No operator grants or revokes access that lasts longer than his own, or changes his own';

CREATE FUNCTION tenancy.grant_operator(user_id uuid, access text, expires_at timestamptz DEFAULT NULL, reason text DEFAULT NULL)
    RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_operator();
    IF user_id IS NULL OR user_id = tenancy.nil() THEN
        RAISE EXCEPTION 'user_id must be a user''s id' USING ERRCODE = '22023';
    END IF;
    IF access IS NULL OR access NOT IN ('read', 'write') THEN
        RAISE EXCEPTION 'invalid operator access' USING ERRCODE = '22023', HINT = 'Use read or write.';
    END IF;
    IF expires_at <= now() THEN
        RAISE EXCEPTION 'expires_at lies in the past' USING ERRCODE = '22023',
            HINT = 'Use tenancy.revoke_operator() to end the access now.';
    END IF;
    BEGIN
        INSERT INTO tenancy.operators AS o (user_id, access, expires_at, reason)
        VALUES (grant_operator.user_id, grant_operator.access, grant_operator.expires_at, grant_operator.reason)
        ON CONFLICT ON CONSTRAINT operators_pkey DO UPDATE
           SET access = excluded.access, expires_at = excluded.expires_at, reason = excluded.reason
         WHERE (o.access, o.expires_at, o.reason) IS DISTINCT FROM (excluded.access, excluded.expires_at, excluded.reason);
    EXCEPTION WHEN foreign_key_violation THEN
        RAISE EXCEPTION 'user does not exist' USING ERRCODE = '42704', HINT = 'He is not in the attached users table.';
    END;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.grant_operator(uuid, text, timestamptz, text) IS 'Makes a user an operator, with read or write access, until expires_at if given; granting again replaces all three. Returns whether anything changed. Errors: 42501 neither administrator nor write operator, one''s own access, or beyond its end; 22023 bad argument; 42704 not in the attached users table';

CREATE FUNCTION tenancy.revoke_operator(user_id uuid) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_operator();
    IF user_id IS NULL THEN
        RAISE EXCEPTION 'user_id must be a user''s id' USING ERRCODE = '22023';
    END IF;
    DELETE FROM tenancy.operators o WHERE o.user_id = revoke_operator.user_id;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.revoke_operator(uuid) IS 'Ends a user''s operator access. Returns whether he had a row. Errors: 42501 neither administrator nor write operator, or his access lasts longer than the caller''s; 22023 NULL user_id';
