// Every transaction of a request, or of a job, has its identity.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');

const identity = new AsyncLocalStorage();

const asUser = (user, tenant, work) =>
    identity.run({ text: 'SELECT tenancy.set_identity($1, $2)', values: [user, tenant] }, work);

const asJob = (tenant, work) => identity.run({ text: 'SELECT tenancy.enter_tenant($1)', values: [tenant] }, work);

// A pool of node-postgres with the same query() and connect(). Where somebody is asking, each query is a transaction,
// and each BEGIN is followed by his identity.
function scoped(pool) {
    async function connect() {
        const client = await pool.connect();
        const who = identity.getStore();
        let open = false;
        const query = async (...args) => {
            const text = args[0].text ?? args[0];
            const begins = /^\s*(begin|start\s)/i.test(text);
            open ||= begins;
            const result = await client.query(...args);
            if (begins && who) await client.query(who);
            if (/^\s*(commit|end|rollback|abort)\s*;?\s*$/i.test(text)) open = false;
            return result;
        };
        // Who takes the client next must not find our transaction: what cannot be rolled back is closed.
        const release = async (error) => {
            if (open) await client.query('ROLLBACK').catch((failure) => (error ??= failure));
            client.release(error);
        };
        return { query, release };
    }

    async function query(...args) {
        if (!identity.getStore()) return pool.query(...args);
        const client = await connect();
        try {
            await client.query('BEGIN');
            const result = await client.query(...args);
            await client.query('COMMIT');
            return result;
        } finally {
            await client.release();
        }
    }

    return { query, connect, end: () => pool.end() };
}

module.exports = { identity, asUser, asJob, scoped };
