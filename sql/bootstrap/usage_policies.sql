-- Who may see and change meters, usage and quotas. What a tenant used and may use is seen with usage.read there, and by
-- operators; limits are set by write operators and administrators, never by a tenant's members: whatever they hold, they
-- must not raise their own. Usage itself is written by the library alone.

-- Asked once for a query, not for each row, so that an index on tenant_id serves it: OR would take that away.
CREATE FUNCTION tenancy.usage_tenants() RETURNS uuid[]
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN tenancy.operator_access() IS NULL THEN tenancy.tenant_ids_with('usage.read') ELSE tenancy.tenant_ids_or_all('read') END;
COMMENT ON FUNCTION tenancy.usage_tenants() IS 'The tenants whose usage and quotas the caller may see: where he holds usage.read; all for operators';

-- What can be counted is the application's design, as permissions are.
CREATE POLICY meters_select ON tenancy.meters FOR SELECT USING (true);

CREATE POLICY usage_select ON tenancy.usage FOR SELECT USING (tenant_id = ANY ((SELECT tenancy.usage_tenants())::uuid[]));
CREATE POLICY usage_periods_select ON tenancy.usage_periods FOR SELECT USING (tenant_id = ANY ((SELECT tenancy.usage_tenants())::uuid[]));
CREATE POLICY usage_periods_delete ON tenancy.usage_periods FOR DELETE USING (tenancy.operator_access() = 'write');
CREATE POLICY quota_events_select ON tenancy.quota_events FOR SELECT USING (tenant_id = ANY ((SELECT tenancy.usage_tenants())::uuid[]));
CREATE POLICY quotas_select ON tenancy.quotas FOR SELECT USING (tenant_id = ANY ((SELECT tenancy.usage_tenants())::uuid[]));
CREATE POLICY tenant_plans_select ON tenancy.tenant_plans FOR SELECT USING (tenant_id = ANY ((SELECT tenancy.usage_tenants())::uuid[]));

-- A plan may be made for one customer and bear his name: one sees those that one's tenants have.
CREATE POLICY plans_select ON tenancy.plans FOR SELECT
    USING (is_default OR name IN (SELECT t.plan FROM tenancy.tenant_plans t) OR tenancy.operator_access() IS NOT NULL);
CREATE POLICY plan_quotas_select ON tenancy.plan_quotas FOR SELECT
    USING (EXISTS (SELECT FROM tenancy.plans p WHERE p.name = plan));

DO $$
DECLARE
    t text;
    p record;
BEGIN
    FOREACH t IN ARRAY ARRAY['meters', 'plans', 'plan_quotas', 'tenant_plans', 'quotas'] LOOP
        EXECUTE format('CREATE POLICY %I ON tenancy.%I FOR INSERT WITH CHECK (tenancy.operator_access() = ''write'')', t || '_insert', t);
        EXECUTE format('CREATE POLICY %I ON tenancy.%I FOR UPDATE USING (tenancy.operator_access() = ''write'')', t || '_update', t);
        EXECUTE format('CREATE POLICY %I ON tenancy.%I FOR DELETE USING (tenancy.operator_access() = ''write'')', t || '_delete', t);
    END LOOP;
    FOR p IN SELECT polname, relname FROM pg_policy JOIN pg_class c ON c.oid = polrelid
              WHERE relnamespace = 'tenancy'::regnamespace
                AND relname IN ('meters', 'usage', 'usage_periods', 'plans', 'plan_quotas', 'tenant_plans', 'quotas', 'quota_events') LOOP
        EXECUTE format('COMMENT ON POLICY %I ON tenancy.%I IS %L', p.polname, p.relname, 'See the matrix in docs/security.md');
    END LOOP;
END
$$;

-- What slots hold of the meter's periods is history too, also of the present one.
CREATE FUNCTION tenancy.check_no_history(meter tenancy.meters) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM tenancy.usage_periods u WHERE u.meter = check_no_history.meter.name)
       OR EXISTS (SELECT FROM tenancy.usage u
                   WHERE u.meter = check_no_history.meter.name
                     AND CASE check_no_history.meter.period WHEN 'hour' THEN u.hour_amount WHEN 'day' THEN u.day_amount
                                                            WHEN 'month' THEN u.month_amount ELSE 0 END <> 0) THEN
        RAISE EXCEPTION 'meter "%" has history', meter.name USING ERRCODE = '2BP01',
            DETAIL = format('What is kept of it is by %s.', meter.period),
            HINT = 'Create another meter, or forget the history with tenancy.prune_usage() first, that of the present period when it is over.';
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.check_no_history(tenancy.meters) IS 'Administrators only: 2BP01 if something is kept of the meter by period';

-- Slots and history were written for what the meter was. Everybody's are looked at, and slots written, hence DEFINER.
CREATE FUNCTION tenancy.guard_meter() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.kind IS DISTINCT FROM OLD.kind OR NEW.name IS DISTINCT FROM OLD.name THEN
        RAISE EXCEPTION 'a meter''s name and kind cannot be changed' USING ERRCODE = '23514', CONSTRAINT = 'immutable_key',
            SCHEMA = 'tenancy', TABLE = 'meters', HINT = 'Create another meter with tenancy.create_meter().';
    END IF;
    IF NEW.period IS DISTINCT FROM OLD.period THEN
        IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
            RAISE EXCEPTION 'cannot change a meter''s period in a transaction of isolation level %', current_setting('transaction_isolation')
                USING ERRCODE = '0A000', DETAIL = 'What was recorded since it began could not be seen.', HINT = 'Use READ COMMITTED.';
        END IF;
        -- Before anybody has to wait for it.
        PERFORM tenancy.check_no_history(OLD);
        -- Who records locks no row of the meter's, and goes by the period it had: he ends first, or begins afterwards.
        LOCK TABLE tenancy.usage IN SHARE ROW EXCLUSIVE MODE;
        PERFORM tenancy.check_no_history(OLD);
        -- Of periods that are over some slots have forgotten what others still hold: the history begins with the present one.
        PERFORM tenancy.empty_slots('infinity', OLD.name, NEW.period, true);
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION tenancy.guard_meter() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.guard_meter() IS 'Trigger function: a meter keeps its name and kind, and while there is history its period';
CREATE TRIGGER guard BEFORE UPDATE ON tenancy.meters FOR EACH ROW EXECUTE FUNCTION tenancy.guard_meter();
COMMENT ON TRIGGER guard ON tenancy.meters IS 'A meter keeps its name and kind, and while there is history its period';

CREATE FUNCTION tenancy.guard_quota() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.period <> 'none' AND EXISTS (SELECT FROM tenancy.meters m WHERE m.name = NEW.meter AND m.kind = 'gauge') THEN
        RAISE EXCEPTION 'a gauge is limited at any time, not by period' USING ERRCODE = '22023',
            HINT = 'Use period none.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_quota() IS 'Trigger function: limits of gauges have no period';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON tenancy.quotas FOR EACH ROW EXECUTE FUNCTION tenancy.guard_quota();
COMMENT ON TRIGGER guard ON tenancy.quotas IS 'Limits of gauges have no period';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON tenancy.plan_quotas FOR EACH ROW EXECUTE FUNCTION tenancy.guard_quota();
COMMENT ON TRIGGER guard ON tenancy.plan_quotas IS 'Limits of gauges have no period';

CREATE FUNCTION tenancy.guard_tenant_plan() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.changed_at := CASE WHEN NEW.plan IS DISTINCT FROM OLD.plan THEN now() ELSE OLD.changed_at END;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_tenant_plan() IS 'Trigger function: changed_at is kept';
CREATE TRIGGER guard BEFORE UPDATE ON tenancy.tenant_plans FOR EACH ROW EXECUTE FUNCTION tenancy.guard_tenant_plan();
COMMENT ON TRIGGER guard ON tenancy.tenant_plans IS 'changed_at is kept';
