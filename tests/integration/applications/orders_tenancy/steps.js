// What a request goes through before its handler.
'use strict';

const { asUser, asJob } = require('./tenancy');

function identify(request, next) {
    if (request.user) return asUser(request.user, request.account, next);
    // The payment provider, whose secret was right.
    return asJob(request.body.account, next);
}

module.exports = [require('./authenticate'), identify];
