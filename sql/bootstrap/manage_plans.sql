-- Plans: named sets of quotas, and which tenant has which. By write operators and administrators; plain DML meets the same
-- rules (usage_policies.sql, and constraints).

CREATE FUNCTION tenancy.find_plan(plan text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM tenancy.plans p WHERE p.name = plan) THEN
        RAISE EXCEPTION 'plan "%" does not exist', plan USING ERRCODE = '42704',
            HINT = 'SELECT name FROM tenancy.plans lists them; tenancy.create_plan() makes one.';
    END IF;
    RETURN plan;
END
$$;
COMMENT ON FUNCTION tenancy.find_plan(text) IS 'Internal: the plan''s name; 42704 if there is none';

-- For what is about to refer to it: who drops it is waited for, and then it is there or it is not.
CREATE FUNCTION tenancy.keep_plan(plan text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM tenancy.plans p WHERE p.name = keep_plan.plan FOR KEY SHARE;
    RETURN tenancy.find_plan(plan);
END
$$;
COMMENT ON FUNCTION tenancy.keep_plan(text) IS 'Internal: the plan''s name, which nobody drops until the transaction ends; 42704 if there is none';

CREATE FUNCTION tenancy.set_default_plan(name text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended boolean;
BEGIN
    PERFORM tenancy.check_usage_editor();
    -- Two at once would both find no other: one at a time.
    PERFORM pg_advisory_xact_lock(hashtextextended('tenancy.set_default_plan', 0));
    IF name IS NOT NULL THEN
        PERFORM tenancy.keep_plan(name);
    END IF;
    UPDATE tenancy.plans p SET is_default = false WHERE p.is_default AND p.name IS DISTINCT FROM set_default_plan.name;
    ended := FOUND;
    UPDATE tenancy.plans p SET is_default = true WHERE p.name = set_default_plan.name AND NOT p.is_default;
    RETURN ended OR FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.set_default_plan(text) IS 'Makes a plan that of tenants which have none, in place of the one before; NULL: there is none. Returns whether anything changed. Errors: 42501 neither administrator nor write operator; 42704 no such plan';

CREATE FUNCTION tenancy.create_plan(name text, description text DEFAULT '', is_default boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_usage_editor();
    IF name IS NULL OR name = '' OR length(name) > 100 THEN
        RAISE EXCEPTION 'invalid plan name' USING ERRCODE = '22023', DETAIL = 'A name is 1 to 100 characters.';
    END IF;
    IF description IS NULL THEN
        RAISE EXCEPTION 'description must not be null' USING ERRCODE = '22023';
    END IF;
    INSERT INTO tenancy.plans (name, description) VALUES (create_plan.name, create_plan.description)
    ON CONFLICT ON CONSTRAINT plans_pkey DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'plan "%" already exists', name USING ERRCODE = '42710';
    END IF;
    IF is_default THEN
        PERFORM tenancy.set_default_plan(name);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.create_plan(text, text, boolean) IS 'Creates a plan, which limits nothing until set_plan_quota(); is_default: as set_default_plan. Errors: 42501 neither administrator nor write operator; 22023 bad argument; 42710 exists';

CREATE FUNCTION tenancy.drop_plan(name text, cascade boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_plan text;
    tenants bigint;
BEGIN
    PERFORM tenancy.check_usage_editor();
    -- Before tenants are counted: who gives it to one, or makes it the default, and has not committed is waited for.
    PERFORM FROM tenancy.plans p WHERE p.name = drop_plan.name FOR UPDATE;
    old_plan := tenancy.find_plan(name);
    IF cascade THEN
        DELETE FROM tenancy.tenant_plans t WHERE t.plan = old_plan;
    ELSE
        SELECT count(*) INTO tenants FROM tenancy.tenant_plans t WHERE t.plan = old_plan;
        IF tenants > 0 THEN
            RAISE EXCEPTION 'plan "%" is that of % tenant(s)', name, tenants USING ERRCODE = '2BP01',
                HINT = 'Give them another with tenancy.set_tenant_plan(), or pass cascade => true: they have the default plan then.';
        ELSIF EXISTS (SELECT FROM tenancy.plans p WHERE p.name = old_plan AND p.is_default) THEN
            RAISE EXCEPTION 'plan "%" is the default', name USING ERRCODE = '2BP01',
                HINT = 'Choose another with tenancy.set_default_plan(), or pass cascade => true: tenants without a plan are not limited then.';
        END IF;
    END IF;
    BEGIN
        DELETE FROM tenancy.plans p WHERE p.name = old_plan;
    EXCEPTION WHEN foreign_key_violation THEN
        IF current_setting('transaction_isolation') IN ('read committed', 'read uncommitted') THEN
            RAISE;
        END IF;
        -- A tenant was given it since this transaction began, which cannot see that.
        RAISE EXCEPTION 'could not serialize access due to concurrent update' USING ERRCODE = '40001',
            DETAIL = format('Plan "%s" was given to a tenant.', name), HINT = 'The transaction might succeed if retried.';
    END;
END
$$;
COMMENT ON FUNCTION tenancy.drop_plan(text, boolean) IS 'Drops a plan and its quotas; with cascade also one that tenants have, or the default. Errors: 42501 neither administrator nor write operator; 42704 no such plan; 2BP01 tenants have it, or it is the default; 40001, above READ COMMITTED, a tenant has been given it meanwhile';

CREATE FUNCTION tenancy.set_plan_quota(plan text, meter text, soft bigint DEFAULT NULL, hard bigint DEFAULT NULL, period text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_usage_editor();
    PERFORM tenancy.keep_plan(plan);
    period := tenancy.check_limits(meter, soft, hard, period);
    INSERT INTO tenancy.plan_quotas AS q (plan, meter, period, soft, hard)
    VALUES (set_plan_quota.plan, set_plan_quota.meter, set_plan_quota.period, set_plan_quota.soft, set_plan_quota.hard)
    ON CONFLICT ON CONSTRAINT plan_quotas_pkey DO UPDATE SET soft = excluded.soft, hard = excluded.hard
     WHERE (q.soft, q.hard) IS DISTINCT FROM (excluded.soft, excluded.hard);
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.set_plan_quota(text, text, bigint, bigint, text) IS 'Says what a plan allows of a meter, by period: see set_quota. Returns whether anything changed. Errors: 42501 neither administrator nor write operator; 42704 no such plan or meter; 22023 bad limits or period; 22003 beyond bigint';

CREATE FUNCTION tenancy.drop_plan_quota(plan text, meter text, period text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_usage_editor();
    PERFORM tenancy.find_plan(plan);
    PERFORM tenancy.find_meter(meter);
    IF period IS NOT NULL THEN
        PERFORM tenancy.check_period(period);
    END IF;
    DELETE FROM tenancy.plan_quotas q
     WHERE q.plan = drop_plan_quota.plan AND q.meter = drop_plan_quota.meter AND q.period = coalesce(drop_plan_quota.period, q.period);
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.drop_plan_quota(text, text, text) IS 'Takes a limit, of one period or all, out of a plan. Returns whether there was one. Errors: 42501 neither administrator nor write operator; 42704 no such plan or meter; 22023 bad period';

CREATE FUNCTION tenancy.set_tenant_plan(tenant uuid, plan text, expires_at timestamptz DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_usage_editor();
    PERFORM tenancy.check_usage_tenant(tenant);
    IF plan IS NULL THEN
        IF expires_at IS NOT NULL THEN
            RAISE EXCEPTION 'expires_at is given but no plan' USING ERRCODE = '22023', HINT = 'NULL takes the plan away now.';
        END IF;
        DELETE FROM tenancy.tenant_plans t WHERE t.tenant_id = tenant;
        RETURN FOUND;
    END IF;
    PERFORM tenancy.keep_plan(plan);
    PERFORM tenancy.check_not_past(expires_at, 'Use tenancy.set_tenant_plan(tenant, NULL) to end the plan now.');
    INSERT INTO tenancy.tenant_plans AS t (tenant_id, plan, expires_at)
    VALUES (set_tenant_plan.tenant, set_tenant_plan.plan, set_tenant_plan.expires_at)
    ON CONFLICT ON CONSTRAINT tenant_plans_pkey DO UPDATE SET plan = excluded.plan, expires_at = excluded.expires_at
     WHERE (t.plan, t.expires_at) IS DISTINCT FROM (excluded.plan, excluded.expires_at);
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.set_tenant_plan(uuid, text, timestamptz) IS 'Gives a tenant a plan, until expires_at if given; then, or with NULL, it has the default plan. Setting again replaces both. Returns whether anything changed. Errors: 42501 neither administrator nor write operator; 42704 no such tenant or plan; 22023 end in the past';
