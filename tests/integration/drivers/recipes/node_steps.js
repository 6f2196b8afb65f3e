// node-postgres with the pool of the guide and without, a line of JSON for each step as in steps.py. PGT_TENANCY is the
// module of the guide.
'use strict';

const { Pool, Query } = require('pg');
const { identity, asUser, scoped } = require(process.env.PGT_TENANCY);

const COUNT = 'SELECT count(*)::int AS n FROM notes';
const DIAGNOSE = { text: "SELECT topic, finding, coalesce(hint, '') FROM tenancy.diagnose()", rowMode: 'array' };
const report = (step, seen, diagnosis = []) => console.log(JSON.stringify({ step, seen, diagnosis }));
const seen = async (db) => (await db.query(COUNT)).rows[0].n;
const mistake = async (step, db) => report(step, await seen(db), (await db.query(DIAGNOSE)).rows);
const setIdentity = { text: 'SELECT tenancy.set_identity($1, $2)', values: ['ann', 1] };

const withClaims = (claims, work) =>
    identity.run({ text: "SELECT set_config('request.jwt.claims', $1, true)", values: [JSON.stringify(claims)] }, work);

const failure = (promise) => promise.then(() => 'no error', (error) => error.code ?? error.message);

// With a client, which is given back.
async function using(db, work) {
    const client = await db.connect();
    try {
        return await work(client);
    } finally {
        await client.release();
    }
}

// What handlers do with node-postgres, they do with the wrapper.
async function asPlainPgHasIt(db) {
    report('listening', [db.on('error', () => {}) === db, db instanceof Pool]);
    const transactions = {
        'not awaited': (client) => void client.query('BEGIN'),
        'after a comment': (client) => client.query('-- a comment; COMMIT\n/* another */ begin;'),
        'with options': (client) => client.query({ text: 'START TRANSACTION READ ONLY', values: [] }),
        chained: (client) => client.query('BEGIN').then(() => client.query('COMMIT AND CHAIN')),
        'back to a savepoint': async (client) => {
            for (const text of ['BEGIN', 'SAVEPOINT a', 'ROLLBACK TO SAVEPOINT a']) await client.query(text);
        },
    };
    for (const [step, begin] of Object.entries(transactions)) {
        const work = async (client) => {
            await begin(client.on('notice', () => {}));
            const rows = await seen(client);
            await client.query('COMMIT');
            report(step, rows);
        };
        await asUser('ann', 1, () => using(db, work));
    }
    const nested = async (client) => {
        await client.query('BEGIN');
        await client.query('/* /* */ COMMIT */ SELECT 1');
    };
    await asUser('ann', 1, () => using(db, nested));
    report('left open, behind a comment', await seen(db));
    const quoted = "SELECT '; COMMIT' || $$; COMMIT; $$ || CASE WHEN true THEN E'\\'; COMMIT' END -- ; COMMIT";
    report('quoted', await asUser('ann', 1, () => failure(db.query(quoted))));

    // Callbacks come from the socket, which others made.
    const byCallbacks = (done) =>
        db.query(COUNT, (_, first) =>
            db.query({ text: COUNT }, [], (_, second) =>
                db.connect((_, client, release) =>
                    client.query('BEGIN', () =>
                        client.query(COUNT, (_, third) =>
                            client.query('COMMIT', () => {
                                release();
                                done([first, second, third].map(({ rows }) => rows[0].n));
                            }),
                        ),
                    ),
                ),
            ),
        );
    report('by callbacks', await asUser('bob', 2, () => new Promise(byCallbacks)));
    const anError = (done) => db.query('x', ({ code }) => done(code));
    report('an error by callback', await asUser('bob', 2, () => new Promise(anError)));

    // What fails where nobody waits does not end the process, nor does a connection that is lost.
    const unwatched = async (client) => {
        client.query('BEGIN');
        await new Promise((done) => setTimeout(done, 50));
        await client.query(COUNT);
    };
    report('refused, not awaited', await asUser('', 1, () => failure(using(db, unwatched))));
    report('lost', await asUser('ann', 1, () => failure(db.query('SELECT pg_terminate_backend(pg_backend_pid())'))));
    report('after the loss', await asUser('ann', 1, () => seen(db)));

    // An event of a query comes from the socket, too, which Ann's query has just made: there is nobody.
    const event = async (client) => {
        await client.query('BEGIN');
        const rows = client.query(new Query(COUNT));
        const who = await new Promise((done) => rows.on('row', () => done(identity.getStore() ?? 'nobody')));
        await client.query('COMMIT');
        return who;
    };
    report('in an event', await asUser('bob', 2, () => using(db, event)));
}

async function whoseTransactionItIs(db) {
    const several = 'begin; SELECT count(*) FROM notes; commit';
    await asUser('ann', 1, async () => {
        report('several, by the pool', await failure(db.query(several)));
        report('several, by a client', await failure(using(db, (client) => client.query(several))));
        const client = await db.connect();
        await client.query('BEGIN');
        report("in another's transaction", await failure(asUser('bob', 2, () => client.query(COUNT))));
        report("in another's transaction", await failure(asUser('bob', 2, () => client.query('BEGIN'))));
        report("in another's transaction", await failure(identity.run(undefined, () => client.query(COUNT))));
        report('in his own', await asUser('ann', 1, () => seen(client)));
        await client.release();
        report('after its release', await failure(client.query(COUNT)));
        try {
            client.release();
        } catch (error) {
            report('released twice', error.message);
        }
    });
    // A client that a job runner keeps.
    const kept = await asUser('ann', 1, () => db.connect());
    await asUser('bob', 2, async () => {
        await kept.query('BEGIN');
        report('on a kept client', await seen(kept));
        await kept.query('COMMIT');
    });
    kept.release();
}

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
    await asPlainPgHasIt(db);
    await whoseTransactionItIs(db);

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
