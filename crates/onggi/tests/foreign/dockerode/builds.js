// dockerode (npm): images built from tars and folders, their progress, and what is told when that fails.
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const tar = require('tar-stream');
const { assert, demux, docker, fails, run, test } = require('./cases');

/** A tar of names and contents. */
function pack(files) {
  const made = tar.pack();
  for (const [name, content] of Object.entries(files)) made.entry({ name }, content);
  made.finalize();
  return made;
}

/** Waits for a build, and returns its messages. */
async function follow(stream) {
  const seen = [];
  const last = await new Promise((resolve, reject) => {
    const end = (error, output) => (error ? reject(error) : resolve(output));
    docker.modem.followProgress(stream, end, (message) => seen.push(message));
  });
  assert.strictEqual(last.length, seen.length);
  return last;
}

/** What a container of an image prints. */
async function said(image, command) {
  const made = await docker.createContainer({ Image: image, Cmd: command });
  const stream = await made.attach({ stream: true, stdout: true, stderr: true });
  const output = demux(stream);
  await made.start();
  await made.wait();
  await made.remove();
  return (await output).stdout;
}

test('of a tar', async () => {
  const files = { Dockerfile: 'FROM busybox\nCOPY f /f\nCMD cat /f\n', f: 'in a tar\n' };
  const messages = await follow(await docker.buildImage(pack(files), { t: 'node:tar' }));
  const text = messages.map((message) => message.stream ?? '').join('');
  assert.match(text, /^Step 1\/3 : FROM busybox\n/);
  assert.match(text, /Successfully built [0-9a-f]{12}\nSuccessfully tagged node:tar\n$/);
  assert.match(messages.find((message) => message.aux).aux.ID, /^sha256:/);
  assert.strictEqual(await said('node:tar'), 'in a tar\n');
});

test('of a folder', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'onggi-'));
  try {
    fs.writeFileSync(path.join(folder, 'Dockerfile'), 'FROM busybox\nCOPY src /app\nCMD ls /app\n');
    fs.mkdirSync(path.join(folder, 'src'));
    fs.writeFileSync(path.join(folder, 'src', 'a'), '');
    const context = { context: folder, src: ['Dockerfile', 'src/a'] };
    await follow(await docker.buildImage(context, { t: 'node:folder', rm: true, forcerm: true }));
    assert.strictEqual(await said('node:folder'), 'a\n');
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test('with options', async () => {
  const dockerfile = 'FROM busybox AS one\nARG WHAT=no\nRUN echo $WHAT > /what\nCMD cat /what\nFROM one\nRUN exit 1\n';
  const options = {
    t: 'node:options',
    dockerfile: 'other/file',
    buildargs: { WHAT: 'yes' },
    labels: { 'made.by': 'a test' },
    target: 'one',
    nocache: true,
    networkmode: 'none',
    shmsize: 1 << 20,
    memory: 256 << 20,
    platform: 'linux/amd64',
  };
  await follow(await docker.buildImage(pack({ 'other/file': dockerfile }), options));
  assert.strictEqual(await said('node:options'), 'yes\n');
  const told = await docker.getImage('node:options').inspect();
  assert.strictEqual(told.Config.Labels['made.by'], 'a test');
});

test('quietly', async () => {
  const files = { Dockerfile: 'FROM busybox\nLABEL quiet=yes\n' };
  const messages = await follow(await docker.buildImage(pack(files), { q: true }));
  assert.strictEqual(messages.length, 1);
  assert.match(messages[0].stream, /^sha256:[0-9a-f]{64}\n$/);
});

test('a command that fails', async () => {
  const files = { Dockerfile: 'FROM busybox\nRUN echo before && exit 3\n' };
  const messages = await follow(await docker.buildImage(pack(files), { t: 'node:failed' })).catch((error) => [error]);
  const last = messages.at(-1);
  assert.match(last.errorDetail?.message ?? last.message, /returned a non-zero code: 3/);
  await fails(docker.getImage('node:failed').inspect(), 404);
});

test('what cannot be read is refused', async () => {
  await fails(docker.buildImage(pack({ Dockerfile: 'FROM busybox\nRUNN true\n' }), {}), 400, 'unknown instruction: RUNN');
  const missing = await docker.buildImage(pack({ other: 'x' }), {}).then(follow, (error) => [error]);
  assert.match(JSON.stringify(missing.at(-1)) + missing.at(-1).message, /Dockerfile/);
});

run();
