-- What is counted, how much of it, and the limits. Amounts are added to rows ("slots") that no two open transactions share,
-- and summed when read: see docs/architecture.md.

CREATE TABLE tenancy.meters (
    name text COLLATE "C" PRIMARY KEY
        CONSTRAINT meters_name_check CHECK (name ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$' AND length(name) <= 100),
    unit text NOT NULL CONSTRAINT meters_unit_check CHECK (unit ~ '^[a-z][a-z0-9_/]*$' AND length(unit) <= 40),
    kind text NOT NULL CONSTRAINT meters_kind_check CHECK (kind IN ('counter', 'gauge')),
    period text NOT NULL CONSTRAINT meters_period_check CHECK (period IN ('none', 'hour', 'day', 'month')),
    description text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenancy.meters IS 'What is counted: counters add up, gauges tell a present amount';
COMMENT ON COLUMN tenancy.meters.name IS 'Its name, such as api.calls';
COMMENT ON COLUMN tenancy.meters.unit IS 'What one of it is, in the plural, such as calls, rows, bytes';
COMMENT ON COLUMN tenancy.meters.kind IS 'counter: adds up and never falls; gauge: the amount there is now';
COMMENT ON COLUMN tenancy.meters.period IS 'The periods, in UTC, of which history is kept: hour, day, month, or none';
COMMENT ON COLUMN tenancy.meters.description IS 'For people';
COMMENT ON COLUMN tenancy.meters.created_at IS 'When it was created';

-- Little to a page: its rows are written all the time, and what is left of old versions is cleared away page by page when
-- there is less room than this. No further index, which each version would have to be entered into.
CREATE TABLE tenancy.usage (
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    meter text COLLATE "C" NOT NULL REFERENCES tenancy.meters (name) ON DELETE CASCADE,
    slot bigint NOT NULL,
    hour timestamptz NOT NULL CONSTRAINT usage_hour_check CHECK (hour = date_trunc('hour', hour, 'UTC')),
    hour_amount bigint NOT NULL,
    day_amount bigint NOT NULL,
    month_amount bigint NOT NULL,
    total bigint NOT NULL,
    granted bigint NOT NULL DEFAULT 0 CONSTRAINT usage_granted_check CHECK (granted >= 0),
    PRIMARY KEY (tenant_id, meter, slot)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.2);
COMMENT ON TABLE tenancy.usage IS 'How much tenants have used, in slots: what a tenant has used is the sum of his';
COMMENT ON COLUMN tenancy.usage.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.usage.meter IS 'The meter';
COMMENT ON COLUMN tenancy.usage.slot IS 'Which backend wrote it; 0: folded';
COMMENT ON COLUMN tenancy.usage.hour IS 'The hour in UTC that it was last written in: the amounts are those of this hour, its day and its month';
COMMENT ON COLUMN tenancy.usage.hour_amount IS 'Recorded in that hour';
COMMENT ON COLUMN tenancy.usage.day_amount IS 'Recorded on that day';
COMMENT ON COLUMN tenancy.usage.month_amount IS 'Recorded in that month';
COMMENT ON COLUMN tenancy.usage.total IS 'Recorded ever; of a gauge, the present amount';
COMMENT ON COLUMN tenancy.usage.granted IS 'What the backend may add without looking at the other slots: counts as used near a quota until it is taken back';

-- Several rows of one period are as good as their sum.
CREATE TABLE tenancy.usage_periods (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    meter text COLLATE "C" NOT NULL REFERENCES tenancy.meters (name) ON DELETE CASCADE,
    period_start timestamptz NOT NULL,
    amount bigint NOT NULL
);
CREATE INDEX usage_periods_tenant_id_idx ON tenancy.usage_periods (tenant_id, meter, period_start);
CREATE INDEX usage_periods_meter_idx ON tenancy.usage_periods (meter, period_start);
COMMENT ON TABLE tenancy.usage_periods IS 'What was recorded in periods that are over, as slots left them; those of meters.period';
COMMENT ON COLUMN tenancy.usage_periods.id IS 'Its id';
COMMENT ON COLUMN tenancy.usage_periods.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.usage_periods.meter IS 'The meter';
COMMENT ON COLUMN tenancy.usage_periods.period_start IS 'When the period began';
COMMENT ON COLUMN tenancy.usage_periods.amount IS 'What was recorded in it; of a gauge, by how much it changed';

CREATE TABLE tenancy.plans (
    name text COLLATE "C" PRIMARY KEY CONSTRAINT plans_name_check CHECK (name <> '' AND length(name) <= 100),
    description text NOT NULL DEFAULT '',
    is_default boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX plans_is_default_idx ON tenancy.plans (is_default) WHERE is_default;
COMMENT ON TABLE tenancy.plans IS 'Named sets of quotas';
COMMENT ON COLUMN tenancy.plans.name IS 'Its name';
COMMENT ON COLUMN tenancy.plans.description IS 'For people';
COMMENT ON COLUMN tenancy.plans.is_default IS 'Whether it is the plan of tenants that have none, or whose plan has ended';
COMMENT ON COLUMN tenancy.plans.created_at IS 'When it was created';

CREATE TABLE tenancy.plan_quotas (
    plan text COLLATE "C" NOT NULL REFERENCES tenancy.plans (name) ON DELETE CASCADE,
    meter text COLLATE "C" NOT NULL REFERENCES tenancy.meters (name) ON DELETE CASCADE,
    period text COLLATE "C" NOT NULL CONSTRAINT plan_quotas_period_check CHECK (period IN ('none', 'hour', 'day', 'month')),
    soft bigint CONSTRAINT plan_quotas_soft_check CHECK (soft >= 0),
    hard bigint CONSTRAINT plan_quotas_hard_check CHECK (hard >= 0),
    CONSTRAINT plan_quotas_soft_hard_check CHECK (soft <= hard),
    PRIMARY KEY (plan, meter, period)
);
CREATE INDEX plan_quotas_meter_idx ON tenancy.plan_quotas (meter);
COMMENT ON TABLE tenancy.plan_quotas IS 'What a plan allows';
COMMENT ON COLUMN tenancy.plan_quotas.plan IS 'The plan';
COMMENT ON COLUMN tenancy.plan_quotas.meter IS 'What is limited';
COMMENT ON COLUMN tenancy.plan_quotas.period IS 'How much in each hour, day or month, in UTC, or none: ever, and of a gauge at any time';
COMMENT ON COLUMN tenancy.plan_quotas.soft IS 'Beyond it the tenant is told, once in a period; NULL: never';
COMMENT ON COLUMN tenancy.plan_quotas.hard IS 'Beyond it nothing is let through; NULL: no limit';

CREATE TABLE tenancy.tenant_plans (
    tenant_id uuid PRIMARY KEY REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    plan text COLLATE "C" NOT NULL REFERENCES tenancy.plans (name),
    expires_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tenant_plans_plan_idx ON tenancy.tenant_plans (plan);
COMMENT ON TABLE tenancy.tenant_plans IS 'Which plan a tenant has';
COMMENT ON COLUMN tenancy.tenant_plans.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.tenant_plans.plan IS 'Its plan';
COMMENT ON COLUMN tenancy.tenant_plans.expires_at IS 'Until when; then the default plan, if there is one. NULL: for good';
COMMENT ON COLUMN tenancy.tenant_plans.changed_at IS 'Since when';

CREATE TABLE tenancy.quotas (
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    meter text COLLATE "C" NOT NULL REFERENCES tenancy.meters (name) ON DELETE CASCADE,
    period text COLLATE "C" NOT NULL CONSTRAINT quotas_period_check CHECK (period IN ('none', 'hour', 'day', 'month')),
    soft bigint CONSTRAINT quotas_soft_check CHECK (soft >= 0),
    hard bigint CONSTRAINT quotas_hard_check CHECK (hard >= 0),
    CONSTRAINT quotas_soft_hard_check CHECK (soft <= hard),
    expires_at timestamptz,
    PRIMARY KEY (tenant_id, meter, period)
);
CREATE INDEX quotas_meter_idx ON tenancy.quotas (meter);
COMMENT ON TABLE tenancy.quotas IS 'What one tenant is allowed, instead of what its plan says of the same meter and period';
COMMENT ON COLUMN tenancy.quotas.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.quotas.meter IS 'What is limited';
COMMENT ON COLUMN tenancy.quotas.period IS 'How much in each hour, day or month, in UTC, or none: ever, and of a gauge at any time';
COMMENT ON COLUMN tenancy.quotas.soft IS 'Beyond it the tenant is told, once in a period; NULL: never';
COMMENT ON COLUMN tenancy.quotas.hard IS 'Beyond it nothing is let through; NULL: no limit';
COMMENT ON COLUMN tenancy.quotas.expires_at IS 'Until when; then what the plan says. NULL: for good';

CREATE TABLE tenancy.quota_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    meter text COLLATE "C" NOT NULL REFERENCES tenancy.meters (name) ON DELETE CASCADE,
    period text COLLATE "C" NOT NULL CONSTRAINT quota_events_period_check CHECK (period IN ('none', 'hour', 'day', 'month')),
    period_start timestamptz NOT NULL,
    soft bigint NOT NULL,
    used bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE INDEX quota_events_tenant_id_idx ON tenancy.quota_events (tenant_id, meter);
CREATE INDEX quota_events_meter_idx ON tenancy.quota_events (meter);
COMMENT ON TABLE tenancy.quota_events IS 'That a tenant used more than a soft limit: once for a limit and period';
COMMENT ON COLUMN tenancy.quota_events.id IS 'Its id, which is also the payload on channel tenancy_quota';
COMMENT ON COLUMN tenancy.quota_events.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.quota_events.meter IS 'The meter';
COMMENT ON COLUMN tenancy.quota_events.period IS 'The period of the limit';
COMMENT ON COLUMN tenancy.quota_events.period_start IS 'When the period began; -infinity for none';
COMMENT ON COLUMN tenancy.quota_events.soft IS 'The limit';
COMMENT ON COLUMN tenancy.quota_events.used IS 'What was used then';
COMMENT ON COLUMN tenancy.quota_events.created_at IS 'When';
COMMENT ON COLUMN tenancy.quota_events.ended_at IS 'Of a gauge: when it fell to the limit or below';

-- One row for each table, or partition, and meter that its rows are counted by.
CREATE TABLE tenancy.metered_tables (
    table_id regclass NOT NULL,
    root_id regclass NOT NULL,
    meter text COLLATE "C" NOT NULL REFERENCES tenancy.meters (name),
    measure text NOT NULL CONSTRAINT metered_tables_measure_check CHECK (measure IN ('rows', 'bytes')),
    size_column text,
    PRIMARY KEY (table_id, meter)
);
CREATE INDEX metered_tables_root_id_idx ON tenancy.metered_tables (root_id);
CREATE INDEX metered_tables_meter_idx ON tenancy.metered_tables (meter);
COMMENT ON TABLE tenancy.metered_tables IS 'What meter_table() did: which tables'' rows a meter counts';
COMMENT ON COLUMN tenancy.metered_tables.table_id IS 'The table, or a partition or child of it';
COMMENT ON COLUMN tenancy.metered_tables.root_id IS 'The table that meter_table() was called for';
COMMENT ON COLUMN tenancy.metered_tables.meter IS 'The meter';
COMMENT ON COLUMN tenancy.metered_tables.measure IS 'What of each row is added: rows (1) or bytes';
COMMENT ON COLUMN tenancy.metered_tables.size_column IS 'Of bytes: the column that holds them, or a path into a jsonb column; NULL: the size of the row';

CREATE TABLE tenancy.quota_signal ();
COMMENT ON TABLE tenancy.quota_signal IS 'Empty for ever: invalidating this relation tells every backend that meters or quotas changed';

SELECT pg_catalog.pg_extension_config_dump('tenancy.meters', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.usage', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.usage_periods', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.plans', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.plan_quotas', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.tenant_plans', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.quotas', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.quota_events', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.metered_tables', 'WHERE table_id IN (SELECT oid FROM pg_catalog.pg_class)');
