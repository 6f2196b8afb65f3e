// Prisma's schema engine, as `prisma migrate` calls it. Prisma's own command downloads a build of the engine for the
// machine; this is the same engine as WebAssembly, which npm has.
//   node engine.mjs deploy|dev|pull   in the directory of schema.prisma, prisma.config.ts and migrations/
import { randomUUID, webcrypto } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// Node 18 has it, but not there, where the engine looks for it.
globalThis.crypto ??= webcrypto;

const require = createRequire(import.meta.url);
const pg = require('pg');
const { PrismaPg } = require('@prisma/adapter-pg');
const { ColumnTypeEnum, bindMigrationAwareSqlAdapterFactory } = require('@prisma/driver-adapter-utils');
const path = require.resolve('@prisma/schema-engine-wasm/schema_engine_bg');

const CHAR = 18; // the type "char" of the catalogs
const TEXT = 25;

// What the adapter lacks for migrations: it knows no "char", and it cuts scripts at every semicolon, where the engine
// for the machine sends the whole file.
function forMigrations(adapter) {
    const [io, raw] = [adapter.performIO.bind(adapter), adapter.queryRaw.bind(adapter)];
    adapter.performIO = async (query) => {
        const result = await io(query);
        query.characters = result.fields.flatMap((field, i) => (field.dataTypeID === CHAR ? [i] : []));
        for (const i of query.characters) result.fields[i].dataTypeID = TEXT;
        return result;
    };
    adapter.queryRaw = async (query) => {
        const result = await raw(query);
        for (const i of query.characters) result.columnTypes[i] = ColumnTypeEnum.Character;
        return result;
    };
    adapter.executeScript = async (script) => {
        await adapter.client.query(script).catch((error) => adapter.onError(error));
    };
    return adapter;
}

class Factory extends PrismaPg {
    async connect() {
        return forMigrations(await super.connect());
    }

    // The adapter's drops the database before it leaves it.
    async connectToShadowDb() {
        const database = `prisma_migrate_shadow_db_${randomUUID()}`;
        const admin = new pg.Client(this.config);
        await admin.connect();
        await admin.query(`CREATE DATABASE "${database}"`);
        const adapter = await new Factory({ ...this.config, database }).connect();
        const leave = adapter.dispose.bind(adapter);
        adapter.dispose = async () => {
            await leave();
            await admin.query(`DROP DATABASE "${database}"`);
            await admin.end();
        };
        return adapter;
    }
}

const read = (file) => fs.readFileSync(file, 'utf8');

async function open(schema) {
    const module = await import(pathToFileURL(path));
    const bytes = fs.readFileSync(path.replace(/\.js$/, '.wasm'));
    const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': module });
    module.__wbg_set_wasm(instance.exports);
    instance.exports.__wbindgen_start();
    // pg takes the database from the environment.
    const adapter = bindMigrationAwareSqlAdapterFactory(new Factory({ host: process.env.PGHOST }));
    return module.SchemaEngine.new({ datamodels: [['schema.prisma', schema]] }, () => {}, adapter);
}

function migrations() {
    const directories = fs.readdirSync('migrations').sort().map((path) => ({
        path,
        migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: read(`migrations/${path}/migration.sql`) } },
    }));
    const lockfile = { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' };
    return { baseDir: 'migrations', lockfile, shadowDbInitScript: '', migrationDirectories: directories };
}

// The settings of prisma.config.ts, without Prisma's own module.
async function config() {
    const source = read('prisma.config.ts').replace(/^import .*$/m, 'const defineConfig = (settings) => settings;');
    return (await import(`data:text/javascript,${encodeURIComponent(source)}`)).default;
}

const verbs = {
    async deploy(engine, filters) {
        return (await engine.applyMigrations({ migrationsList: migrations(), filters })).appliedMigrationNames;
    },

    // What `migrate dev` would do: reset, or the text of the next migration.
    async dev(engine, filters, schema) {
        const { action } = await engine.devDiagnostic({ migrationsList: migrations(), filters });
        if (action.tag === 'reset') return action;
        const input = { draft: true, migrationName: 'next', migrationsList: migrations(), schema, filters };
        return { ...action, script: (await engine.createMigration(input)).migrationScript };
    },

    async pull(engine, filters, schema) {
        const options = { baseDirectoryPath: '.', force: false, compositeTypeDepth: -1, namespaces: null };
        return (await engine.introspect({ schema, ...options })).schema.files[0].content;
    },
};

const schema = read('schema.prisma');
const { tables, enums } = await config();
const filters = { externalTables: tables?.external ?? [], externalEnums: enums?.external ?? [] };
try {
    const engine = await open(schema);
    const files = { files: [{ path: 'schema.prisma', content: schema }] };
    console.log(JSON.stringify(await verbs[process.argv[2]](engine, filters, files)));
    process.exit(0);
} catch (error) {
    console.log(error.message);
    process.exit(1);
}
