-- What join_rls and plan_time join with bench.active: each row of that finds its folder and author in its own tenant.
SET client_min_messages = warning;
CREATE TABLE bench.folders AS
SELECT t.t * 10 + n AS id, t.id AS tenant_id, 'Folder ' || n AS name FROM bench.tenants t, generate_series(0, 9) n WHERE t.t <= 1000;
CREATE TABLE bench.authors AS
SELECT t.t * 10 + n AS id, t.id AS tenant_id, 'Author ' || n AS name FROM bench.tenants t, generate_series(0, 9) n WHERE t.t <= 1000;
ALTER TABLE bench.folders ADD PRIMARY KEY (id);
ALTER TABLE bench.authors ADD PRIMARY KEY (id);
SELECT tenancy.protect_table('bench.folders'), tenancy.protect_table('bench.authors');
VACUUM ANALYZE bench.folders;
VACUUM ANALYZE bench.authors;
