'use strict';
// What the scripts share: they say what their library has seen as one JSON object a line on stdout,
// and do what the test asks for, one JSON object a line on stdin. When stdin ends they leave.
const readline = require('node:readline');

exports.api = process.env.THRONG_API;
exports.token = process.env.THRONG_TOKEN;

const say = (kind, fields) => process.stdout.write(JSON.stringify({ kind, ...fields }) + '\n');
exports.say = say;

exports.serve = (handlers, leave) => {
  const fail = (err) => say('failed', { text: String(err?.stack ?? err) });
  process.on('unhandledRejection', fail);
  process.on('uncaughtException', fail);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const { do: what, ...args } = JSON.parse(line);
    try {
      await handlers[what](args);
    } catch (err) {
      fail(err);
    }
  });
  lines.on('close', async () => {
    await leave();
    process.exit(0);
  });
};
