// Makes requests by node-postgres, as an application would that does what PostgREST does. Standard input and output are
// those of requests.py.
'use strict';

const { Client } = require('pg');

const SETTINGS = [
    'search_path',
    'role',
    'request.jwt.claims',
    'request.method',
    'request.path',
    'request.headers',
    'request.cookies',
];
const SET = 'SELECT ' + SETTINGS.map((name, i) => `set_config('${name}', $${i + 1}, true)`).join(', ');

// A name for each text, each client's own: behind a pooler both are on one server connection.
function named(work, number, text, values) {
    if (!work.prepared) return { text, values, rowMode: 'array' };
    const key = `client${number}:${text}`;
    if (!names.has(key)) names.set(key, `client${number}_${names.size}`);
    return { name: names.get(key), text, values, rowMode: 'array' };
}
const names = new Map();

async function answer(work, clients, request) {
    const number = request.client;
    const client = clients[number];
    const ask = async () => (await client.query(named(work, number, request.sql, request.values))).rows;
    let begun = false;
    try {
        if (request.settings === null) return { rows: await ask() };
        await client.query(request.read_only ? 'BEGIN READ ONLY' : 'BEGIN');
        begun = true;
        await client.query(named(work, number, SET, request.settings));
        if (work.pre_request) await client.query(named(work, number, `SELECT ${work.pre_request}()`, []));
        const rows = await ask();
        await client.query('COMMIT');
        return { rows };
    } catch (error) {
        if (begun) await client.query('ROLLBACK');
        return { code: error.code || String(error) };
    }
}

async function main() {
    let input = '';
    for await (const part of process.stdin) input += part;
    const work = JSON.parse(input);
    const { host, port, database, user } = work;
    const clients = [0, 1].map(() => new Client({ host, port, database, user }));
    for (const client of clients) await client.connect();
    for (const request of work.requests) console.log(JSON.stringify(await answer(work, clients, request)));
    for (const client of clients) await client.end();
}

main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
