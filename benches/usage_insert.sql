-- Two protected tables that differ in nothing but meter_table: rows and bytes of one are counted.
SET client_min_messages = warning;
INSERT INTO tenancy.meters (name, unit, kind, period) VALUES ('bench.rows', 'rows', 'gauge', 'none'), ('bench.bytes', 'bytes', 'gauge', 'none');
CREATE TABLE bench.usage_metered (id bigint NOT NULL, tenant_id uuid, amount int);
CREATE TABLE bench.usage_plain (id bigint NOT NULL, tenant_id uuid, amount int);
SELECT tenancy.protect_table(t::regclass, resource => 'docs') FROM unnest('{bench.usage_metered,bench.usage_plain}'::text[]) t;
SELECT tenancy.meter_table('bench.usage_metered', rows => 'bench.rows', bytes => 'bench.bytes');
GRANT ALL ON bench.usage_metered, bench.usage_plain TO authenticated;
CREATE FUNCTION bench.insert_many(target regclass, tenant uuid, statements int, rows int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 0..statements - 1 LOOP
        EXECUTE format('INSERT INTO %s SELECT n, $1, n %% 100 FROM generate_series($2 + 1, $2 + $3) n', target) USING tenant, n * rows, rows;
    END LOOP;
    RETURN statements;
END
$$;
