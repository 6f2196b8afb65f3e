// What a request goes through before its handler.
'use strict';

module.exports = [require('./authenticate')];
