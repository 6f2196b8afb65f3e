// Every transaction of a request, or of a job, has its identity.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { isDeepStrictEqual } = require('node:util');

const identity = new AsyncLocalStorage();

const asUser = (user, tenant, work) =>
    identity.run({ text: 'SELECT tenancy.set_identity($1, $2)', values: [user, tenant] }, work);

const asJob = (tenant, work) => identity.run({ text: 'SELECT tenancy.enter_tenant($1)', values: [tenant] }, work);

// What a socket calls back is in the context that made the socket. In nobody's it is not another user's.
const asNobody = (work) => identity.run(undefined, work);

// Whether a text 'begins' or 'ends' a transaction at last, or neither, and whether it is one statement.
const NOISE = /e'(?:[^'\\]*(?:\\.|''))*[^'\\]*'|'[^']*'|"[^"]*"|\$(\w*)\$.*?\$\1\$|--[^\n]*|\/\*.*?\*\//gis;
const BEGINS = /^(begin|start\s+transaction)\b|^(commit|end|rollback|abort)(\s+(work|transaction))?\s+and\s+chain$/i;
const ENDS = /^(commit|end|rollback|abort)(\s+(work|transaction))?(\s+and\s+no\s+chain)?$|^prepare\s+transaction$/i;

function control(text) {
    const statements = String(text).replace(NOISE, ' ').split(';').map((statement) => statement.trim()).filter(Boolean);
    const found = statements.map((statement) => (BEGINS.test(statement) ? 'begins' : ENDS.test(statement) && 'ends'));
    return { does: found.filter(Boolean).at(-1), alone: found.length === 1 };
}

// As node-postgres answers: to a callback if there is one, else by a promise.
function answer(promise, callback, more = () => []) {
    if (!callback) return promise;
    promise.then(
        (result) => process.nextTick(callback, undefined, result, ...more(result)),
        (error) => process.nextTick(callback, error, undefined, () => {}),
    );
}

const callbackOf = (args) => (typeof args.at(-1) === 'function' ? args.pop() : undefined);

// The original, but for these functions.
const instead = (original, own) =>
    new Proxy(original, { get: (target, name) => (Object.hasOwn(own, name) ? own[name] : target[name]) });

// A client of node-postgres whose BEGIN gives the transaction the identity of whoever is asking.
function scopedClient(client) {
    const giveBack = client.release;
    let [open, owner, released] = [false, undefined, false];

    // In one text with BEGIN, so that no query comes in between.
    async function begin(text, who) {
        const literal = (value) => (value == null ? 'NULL' : client.escapeLiteral(String(value)));
        const states = who.text.replace(/\$(\d+)/g, (_, n) => literal(who.values[n - 1]));
        return (await client.query(`${text}\n;${states}`))[0];
    }

    function send(args) {
        const text = args[0]?.text ?? args[0];
        const { does, alone } = control(text);
        const who = identity.getStore();
        if (released) throw new Error('the client was released');
        if (open && does !== 'ends' && !isDeepStrictEqual(who, owner))
            throw new Error('this transaction was begun by somebody else');
        if (who && does && (!alone || args[0].submit))
            throw new Error('BEGIN and what ends it must be queries of their own: an identity follows BEGIN');
        if (does) [open, owner] = [does === 'begins', who];
        if (!who || does !== 'begins') return client.query(...args);
        const begun = begin(text, who);
        // If nobody waits for it, the next query fails.
        begun.catch(() => {});
        return begun;
    }

    function query(...args) {
        // Cursors and streams are what query() gives back, at once.
        if (args[0]?.submit) return send(args);
        const callback = callbackOf(args);
        try {
            return answer(send(args), callback);
        } catch (error) {
            return answer(Promise.reject(error), callback);
        }
    }

    function release(error) {
        if (released) throw new Error('Release called on client which has already been released to the pool.');
        released = true;
        if (error || !open) return asNobody(() => giveBack(error));
        // Who takes the client next must not find our transaction: what cannot be rolled back is closed.
        return asNobody(() => client.query('ROLLBACK').then(() => giveBack(), giveBack));
    }

    return instead(client, { query, release });
}

// A pool of node-postgres. Where somebody is asking, each query is a transaction, and each BEGIN has his identity.
function scoped(pool) {
    const take = async () => scopedClient(await asNobody(() => pool.connect()));

    const connect = (callback) => answer(take(), callback, (client) => [client.release]);

    async function transaction(args) {
        if (control(args[0]?.text ?? args[0]).does || args[0]?.submit)
            throw new Error('transactions, cursors and streams need a client: connect()');
        const client = await take();
        // As for a query of the pool's: it fails, and the process goes on.
        const lost = () => {};
        client.on('error', lost);
        try {
            await client.query('BEGIN');
            const result = await client.query(...args);
            await client.query('COMMIT');
            return result;
        } finally {
            await client.release();
            client.off('error', lost);
        }
    }

    function query(...args) {
        if (!identity.getStore()) return pool.query(...args);
        const callback = callbackOf(args);
        return answer(transaction(args), callback);
    }

    return instead(pool, { query, connect });
}

module.exports = { identity, asUser, asJob, scoped };
