// node-postgres with the pool of the guide and without, a line of JSON for each step as in steps.py. PGT_TENANCY is the
// module of the guide.
'use strict';

const { Pool } = require('pg');
const { identity, asUser, scoped } = require(process.env.PGT_TENANCY);

const COUNT = 'SELECT count(*)::int AS n FROM notes';
const DIAGNOSE = { text: "SELECT topic, finding, coalesce(hint, '') FROM tenancy.diagnose()", rowMode: 'array' };
const report = (step, seen, diagnosis = []) => console.log(JSON.stringify({ step, seen, diagnosis }));
const seen = async (db) => (await db.query(COUNT)).rows[0].n;
const mistake = async (step, db) => report(step, await seen(db), (await db.query(DIAGNOSE)).rows);
const setIdentity = { text: 'SELECT tenancy.set_identity($1, $2)', values: ['ann', 1] };

const withClaims = (claims, work) =>
    identity.run({ text: "SELECT set_config('request.jwt.claims', $1, true)", values: [JSON.stringify(claims)] }, work);

async function main() {
    const plain = new Pool({ max: 1 });
    await plain.query(setIdentity);
    await mistake('by the pool', plain);
    await plain.query("SET request.jwt.claims = '{\"sub\": \"ann\"}'");
    await mistake('plain SET', plain);

    // Released in the middle of a transaction: whoever takes this client next is in it. No database can know.
    const left = await plain.connect();
    await left.query('BEGIN');
    await left.query(setIdentity);
    left.release();
    report('left open', await seen(plain));
    await plain.query('ROLLBACK');

    const db = scoped(plain);
    for (let round = 0; round < 4; round++) {
        await asUser('ann', 1, async () => report('ann', await seen(db)));
        await asUser('bob', null, async () => report('bob', await seen(db)));
        await withClaims({ sub: 'ann', tenant_id: 1 }, async () => report('ann by claims', await seen(db)));
    }
    await asUser('ann', 2, async () => report("ann in bob's", await seen(db)));
    await mistake('nobody', db);

    await asUser('ann', 1, async () => {
        const client = await db.connect();
        await client.query('BEGIN');
        report('in a transaction', await seen(client));
        await client.query('COMMIT');
        report('after its end', await seen(client));
        await client.query('BEGIN');
        client.release();
    });
    await mistake('left open, with the wrapper', db);

    await asUser('ann', 1, async () => {
        const planted = db.query("INSERT INTO notes (org_id, body) VALUES (2, 'planted')");
        report("another's row", await planted.catch((error) => error.code));
        const own = await db.query("INSERT INTO notes (body) VALUES ('mine') RETURNING id, org_id");
        report('own row', own.rows[0].org_id);
        await db.query({ text: 'DELETE FROM notes WHERE id = $1', values: [own.rows[0].id] });
        report('after the error', await seen(db));
    });

    // A name is the server connection's, and this pool has two clients on one.
    const pair = new Pool({ max: 2 });
    const clients = [await pair.connect(), await pair.connect()];
    let code = 'no error';
    for (const client of clients) await client.query({ name: 'count', text: COUNT }).catch((error) => (code = error.code));
    report('prepared', code);
    for (const client of clients) client.release();
    await pair.end();
    await db.end();
}

main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
