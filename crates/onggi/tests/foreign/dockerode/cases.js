// Cases, run one after the other by `run()`. Each failure is told with its trace; the exit code counts.
'use strict';

const assert = require('node:assert');
const { PassThrough } = require('node:stream');
const Docker = require('dockerode');

const LIMIT = 60_000;
const docker = new Docker({ socketPath: process.env.DOCKER_HOST.replace('unix://', '') });
const cases = [];

/** Marks a function as a case. */
function test(name, body) {
  cases.push([name, body]);
}

/** Asks until the answer is true, and returns it. */
async function until(what, ask) {
  const end = Date.now() + LIMIT;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited ${LIMIT} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** All of a stream as text. */
async function text(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

/** Both outputs of a framed stream, once it has ended. */
async function demux(stream) {
  const [out, err] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, out, err);
  stream.on('end', () => (out.end(), err.end()));
  const [stdout, stderr] = await Promise.all([text(out), text(err)]);
  return { stdout, stderr };
}

/** Does something with a container that runs, and removes it. */
async function container(options, body) {
  const made = await docker.createContainer({ Image: 'busybox', Cmd: ['sleep', '1000'], ...options });
  try {
    await made.start();
    return await body(made);
  } finally {
    await made.remove({ force: true, v: true }).catch((error) => {
      if (error.statusCode !== 404) throw error;
    });
  }
}

/** It has to fail with this status and text. */
async function fails(promise, status, part = '') {
  await assert.rejects(promise, (error) => {
    assert.strictEqual(error.statusCode, status, error.message);
    assert.ok(error.message.includes(part), error.message);
    return true;
  });
}

/** Runs the cases. */
async function run() {
  // A connection that waits in the pool does not keep Node alive, and for a moment neither does one taken from it.
  setInterval(() => {}, 1000);
  let failed = 0;
  for (const [name, body] of cases) {
    try {
      await body();
      console.log('ok', name);
    } catch (error) {
      failed += 1;
      console.log('FAILED', name, error);
    }
  }
  process.exit(failed ? 1 : 0);
}

module.exports = { assert, container, demux, docker, fails, run, test, text, until, LIMIT };
