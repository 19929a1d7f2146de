// testcontainers (npm): containers for tests, and the ways to wait for them.
'use strict';

const assert = require('node:assert');
const { PassThrough } = require('node:stream');
const { GenericContainer, Wait, getContainerRuntimeClient } = require('testcontainers');

const LIMIT = 60_000;
const SCRIPT =
  'mkdir -p /www; echo hello > /www/index.html; httpd -p 8080 -h /www; echo ready; touch /ready; sleep 1000';
const cases = [];
const test = (name, body) => cases.push([name, body]);

const server = (wait) =>
  new GenericContainer('busybox')
    .withCommand(['sh', '-c', SCRIPT])
    .withExposedPorts(8080)
    .withStartupTimeout(LIMIT)
    .withWaitStrategy(wait);

async function started(container, body) {
  const one = await container.start();
  try {
    await body(one);
  } finally {
    await one.stop({ timeout: 0 });
  }
}

async function fetched(one) {
  const answer = await fetch(`http://${one.getHost()}:${one.getMappedPort(8080)}/`);
  return answer.text();
}

test('a server is waited for by its log', async () => {
  for (const message of ['ready', /re.dy/]) {
    await started(server(Wait.forLogMessage(message)), async (one) => {
      assert.strictEqual(await fetched(one), 'hello\n');
    });
  }
});

test('ports, http and commands are waited for', async () => {
  const strategies = [
    Wait.forListeningPorts(),
    Wait.forHttp('/', 8080).forStatusCode(200),
    Wait.forSuccessfulCommand('test -e /ready'),
    Wait.forAll([Wait.forLogMessage('ready'), Wait.forListeningPorts()]),
  ];
  for (const strategy of strategies) {
    await started(server(strategy), async (one) => assert.strictEqual(await fetched(one), 'hello\n'));
  }
});

test('health is waited for', async () => {
  const check = { test: ['CMD-SHELL', 'test -e /ready'], interval: 200, retries: 100, timeout: 30_000 };
  await started(server(Wait.forHealthCheck()).withHealthCheck(check), async (one) => {
    assert.strictEqual((await one.exec(['test', '-e', '/ready'])).exitCode, 0);
  });
});

test('one that ends is waited for or told', async () => {
  const once = new GenericContainer('busybox').withStartupTimeout(LIMIT);
  const one = await once.withCommand(['true']).withWaitStrategy(Wait.forOneShotStartup()).start();
  await one.stop();
  const bad = new GenericContainer('busybox').withCommand(['sh', '-c', 'exit 3']).withStartupTimeout(LIMIT);
  await assert.rejects(bad.withWaitStrategy(Wait.forOneShotStartup()).start());
});

test('options, commands and files', async () => {
  const lines = [];
  const made = new GenericContainer('127.0.0.1:5000/library/busybox:latest')
    .withCommand(['sh', '-c', 'echo ready; sleep 1000'])
    .withName('by-testcontainers')
    .withEnvironment({ A: '1' })
    .withLabels({ a: 'b' })
    .withTmpFs({ '/memory': 'rw,size=1m' })
    .withUlimits({ nofile: { soft: 100, hard: 200 } })
    .withAddedCapabilities('NET_ADMIN')
    .withDroppedCapabilities('MKNOD')
    .withExtraHosts([{ host: 'other', ipAddress: '10.0.0.2' }])
    .withResourcesQuota({ memory: 0.0625, cpu: 0.5 })
    .withSharedMemorySize(1 << 20)
    .withWorkingDir('/tmp')
    .withHostname('pot')
    .withDefaultLogDriver()
    .withBindMounts([{ source: '/tmp', target: '/bound', mode: 'ro' }])
    .withCopyContentToContainer([{ content: 'copied', target: '/tmp/copied.txt' }])
    .withLogConsumer((stream) => stream.on('data', (line) => lines.push(line.toString())))
    .withStartupTimeout(LIMIT)
    .withWaitStrategy(Wait.forLogMessage('ready'));
  await started(made, async (one) => {
    assert.strictEqual(one.getName().replace(/^\//, ''), 'by-testcontainers');
    assert.strictEqual(one.getLabels().a, 'b');
    const command = 'echo $A; hostname; pwd; cat /tmp/copied.txt; ulimit -n; grep -c other /etc/hosts';
    const said = await one.exec(['sh', '-c', command]);
    assert.strictEqual(said.exitCode, 0);
    assert.strictEqual(said.output, '1\npot\n/tmp\ncopied100\n1\n');
    const failed = await one.exec(['sh', '-c', 'echo $B; echo err >&2; exit 5'], { env: { B: '2' }, user: '7' });
    assert.deepStrictEqual([failed.exitCode, failed.stdout, failed.stderr], [5, '2\n', 'err\n']);
    await one.copyContentToContainer([{ content: 'later', target: '/tmp/later.txt' }]);
    const pieces = [];
    for await (const piece of await one.copyArchiveFromContainer('/tmp/later.txt')) pieces.push(piece);
    assert.ok(Buffer.concat(pieces).includes('later'));
    const followed = new PassThrough();
    (await one.logs()).pipe(followed);
    await new Promise((resolve) => followed.once('data', resolve));
    assert.ok(one.getIpAddress('bridge'));
  });
  assert.ok(lines.join('').includes('ready'), lines.join(''));
});

test('a restart keeps the container', async () => {
  await started(server(Wait.forListeningPorts()), async (one) => {
    const id = one.getId();
    await one.restart({ timeout: 0 });
    assert.strictEqual(one.getId(), id);
    assert.strictEqual(await fetched(one), 'hello\n');
    const image = await one.commit({ repo: 'clients/committed', tag: 'v1', deleteOnExit: false });
    assert.ok(image);
  });
});

test('nothing is left', async () => {
  const client = await getContainerRuntimeClient();
  assert.deepStrictEqual(await client.container.dockerode.listContainers({ all: true }), []);
  await client.container.dockerode.getImage('clients/committed:v1').remove();
});

(async () => {
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
})();
