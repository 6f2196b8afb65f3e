// Runs a job of jobs.js for every account: node each_account.js cancelStale
'use strict';

const db = require('./db');
const jobs = require('./jobs');
const { asJob } = require('./tenancy');

async function main(job) {
    const { rows } = await db.query('SELECT key FROM tenancy.enterable_tenants() ORDER BY key::bigint');
    for (const { key } of rows) {
        try {
            console.log(`account ${key}: ${await asJob(key, jobs[job])}`);
        } catch (error) {
            // The others have their turn.
            console.error(`account ${key}:`, error);
            process.exitCode = 1;
        }
    }
}

main(process.argv[2]).finally(() => db.end());
