// dockerode (npm): what its users do with containers.
'use strict';

const { PassThrough, Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const tar = require('tar-stream');
const { assert, container, demux, docker, fails, run, test, text, until } = require('./cases');

test('create knows every option', async () => {
  const options = {
    name: 'everything',
    Hostname: 'pot',
    Domainname: 'pots.test',
    Env: ['A=1'],
    Labels: { a: 'b' },
    User: '1000',
    WorkingDir: '/tmp',
    ExposedPorts: { '80/tcp': {} },
    StopSignal: 'SIGUSR1',
    StopTimeout: 1,
    Healthcheck: { Test: ['CMD', 'true'], Interval: 200_000_000 },
    HostConfig: {
      Binds: ['/tmp:/second:ro'],
      CapAdd: ['NET_ADMIN'],
      CapDrop: ['MKNOD'],
      CpuShares: 512,
      Dns: ['10.0.0.1'],
      ExtraHosts: ['other:10.0.0.2'],
      Init: true,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m' } },
      Memory: 64 << 20,
      Mounts: [{ Type: 'tmpfs', Target: '/memory', TmpfsOptions: { SizeBytes: 1 << 20 } }],
      NanoCpus: 500_000_000,
      PidsLimit: 50,
      PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8089' }] },
      ReadonlyRootfs: true,
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 },
      Tmpfs: { '/run': 'size=1m' },
      Ulimits: [{ Name: 'nofile', Soft: 100, Hard: 200 }],
    },
    NetworkingConfig: { EndpointsConfig: { bridge: {} } },
  };
  await container(options, async (one) => {
    const told = await one.inspect({ size: true });
    assert.strictEqual(told.Name, '/everything');
    assert.strictEqual(told.State.Running, true);
    assert.strictEqual(told.Config.Hostname, 'pot');
    assert.strictEqual(told.Config.StopTimeout, 1);
    assert.ok(told.SizeRootFs > 0);
    for (const name of ['CpuShares', 'Memory', 'NanoCpus', 'PidsLimit', 'Init', 'Dns', 'Ulimits', 'Tmpfs']) {
      assert.deepStrictEqual(told.HostConfig[name], options.HostConfig[name], name);
    }
    assert.strictEqual(told.NetworkSettings.Ports['80/tcp'][0].HostPort, '8089');
    assert.ok(told.NetworkSettings.Networks.bridge.IPAddress);
    await until('health', async () => (await one.inspect()).State.Health.Status === 'healthy');
  });
});

test('run ties the streams', async () => {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const command = ['sh', '-c', 'echo out; echo err >&2; exit 3'];
  const both = Promise.all([text(out), text(err)]);
  const [ended, made] = await docker.run('busybox', command, [out, err], { Tty: false });
  out.end();
  err.end();
  assert.strictEqual(ended.StatusCode, 3);
  assert.deepStrictEqual(await both, ['out\n', 'err\n']);
  await made.remove();
  const single = new PassThrough();
  const said = text(single);
  const options = { Tty: true, HostConfig: { AutoRemove: true } };
  await docker.run('busybox', ['echo', 'terminal'], single, options);
  single.end();
  assert.strictEqual(await said, 'terminal\r\n');
});

test('the whole life', async () => {
  const command = ['sh', '-c', "trap 'exit 5' TERM; while :; do sleep 1 & wait; done"];
  await container({ Cmd: command }, async (one) => {
    await one.pause();
    assert.strictEqual((await one.inspect()).State.Status, 'paused');
    await one.unpause();
    await one.rename({ name: 'renamed' });
    assert.strictEqual((await docker.getContainer('renamed').inspect()).Id, one.id);
    await one.update({ Memory: 32 << 20, MemorySwap: 64 << 20 });
    assert.strictEqual((await one.inspect()).HostConfig.Memory, 32 << 20);
    const top = await one.top({ ps_args: '-o pid,comm' });
    assert.deepStrictEqual(top.Titles, ['PID', 'COMMAND']);
    await one.restart({ t: 20 });
    const waiting = one.wait({ condition: 'next-exit' });
    await one.stop({ t: 20 });
    assert.ok([0, 5].includes((await waiting).StatusCode));
    await fails(one.stop(), 304);
    await one.start();
    await fails(one.start(), 304);
    await one.kill({ signal: 'SIGKILL' });
    assert.strictEqual((await one.wait()).StatusCode, 137);
    const { Id } = await one.commit({ repo: 'clients/made', tag: 'v1', changes: 'ENV B=2' });
    assert.ok(Id);
    await docker.getImage('clients/made:v1').remove();
  });
});

test('failures have a status', async () => {
  await fails(docker.getContainer('nobody').inspect(), 404, 'No such container: nobody');
  await fails(docker.createContainer({ Image: 'nothing:here' }), 404, 'No such image: nothing:here');
  await fails(docker.createContainer({ Image: 'busybox', HostConfig: { Memory: 5 } }), 400, 'Minimum memory');
  await fails(docker.listContainers({ filters: { nothing: ['x'] } }), 400);
  await container({ name: 'taken' }, async (one) => {
    await fails(docker.createContainer({ Image: 'busybox', name: 'taken' }), 409, 'is already in use');
    await fails(one.remove(), 409);
    await one.stop({ t: 0 });
    await fails(one.kill(), 409, 'is not running');
    await fails(one.exec({ Cmd: ['true'] }), 409);
  });
});

test('attach reads and writes', async () => {
  const config = { Image: 'busybox', Cmd: ['cat'], OpenStdin: true, StdinOnce: true };
  const made = await docker.createContainer({ ...config, AttachStdin: true });
  const options = { stream: true, hijack: true, stdin: true, stdout: true, stderr: true };
  const stream = await made.attach(options);
  const said = demux(stream);
  await made.start();
  stream.write('through\n');
  stream.end();
  assert.deepStrictEqual(await said, { stdout: 'through\n', stderr: '' });
  assert.strictEqual((await made.wait()).StatusCode, 0);
  await made.remove();
});

test('attach to a terminal', async () => {
  await container({ Cmd: ['sh'], Tty: true, OpenStdin: true }, async (one) => {
    const stream = await one.attach({ stream: true, hijack: true, stdin: true, stdout: true });
    await one.resize({ h: 40, w: 100 });
    stream.write('stty size; exit 4\n');
    assert.match(await text(stream), /40 100/);
    assert.strictEqual((await one.wait()).StatusCode, 4);
  });
});

test('logs at once and as they come', async () => {
  const script = 'echo one; echo two >&2; until [ -e /more ]; do usleep 10000; done; echo three';
  await container({ Cmd: ['sh', '-c', script] }, async (one) => {
    const both = { stdout: true, stderr: true };
    await until('two lines', async () => (await one.logs(both)).toString().match(/one[^]*two|two[^]*one/));
    const followed = await one.logs({ ...both, follow: true, timestamps: true });
    const exec = await one.exec({ Cmd: ['touch', '/more'] });
    await exec.start({ Detach: true });
    const { stdout, stderr } = await demux(followed);
    assert.match(stdout, /^20\S+Z one\n20\S+Z three\n$/);
    assert.match(stderr, /^20\S+Z two\n$/);
  });
});

test('exec with and without a terminal', async () => {
  await container({}, async (one) => {
    const exec = await one.exec({
      Cmd: ['sh', '-c', 'echo $W; id -u; pwd; cat; echo err >&2; exit 3'],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Env: ['W=w'],
      User: '1000',
      WorkingDir: '/tmp',
    });
    const stream = await exec.start({ hijack: true, stdin: true });
    const said = demux(stream);
    stream.write('input\n');
    stream.end();
    assert.deepStrictEqual(await said, { stdout: 'w\n1000\n/tmp\ninput\n', stderr: 'err\n' });
    await until('the exit code', async () => (await exec.inspect()).ExitCode === 3);
    const shell = await one.exec({ Cmd: ['sh'], AttachStdin: true, AttachStdout: true, Tty: true });
    const terminal = await shell.start({ hijack: true, stdin: true, Tty: true });
    await shell.resize({ h: 33, w: 99 });
    terminal.write('stty size; exit 8\n');
    assert.match(await text(terminal), /33 99/);
    await until('the exit code', async () => (await shell.inspect()).ExitCode === 8);
  });
});

test('statistics once and as a stream', async () => {
  await container({ HostConfig: { Memory: 64 << 20 } }, async (one) => {
    const once = await one.stats({ stream: false });
    assert.strictEqual(once.memory_stats.limit, 64 << 20);
    const shot = await one.stats({ stream: false, 'one-shot': true });
    assert.strictEqual(shot.precpu_stats.cpu_usage.total_usage, 0);
    const stream = await one.stats({ stream: true });
    const documents = [];
    let rest = '';
    for await (const piece of stream) {
      const lines = (rest + piece).split('\n');
      rest = lines.pop();
      documents.push(...lines.map((line) => JSON.parse(line)));
      if (documents.length > 2) break;
    }
    const used = documents.map((one) => one.cpu_stats.cpu_usage.total_usage);
    assert.ok(used.every((number) => number > 0), JSON.stringify(used));
    assert.strictEqual(documents[2].preread, documents[1].read);
  });
});

test('events with filters', async () => {
  const filters = { type: ['container'], label: ['heard'] };
  const stream = await docker.getEvents({ filters });
  const made = await docker.createContainer({ Image: 'busybox', Cmd: ['true'], Labels: { heard: '' } });
  await made.start();
  await made.wait();
  await made.remove();
  const heard = [];
  let rest = '';
  for await (const piece of stream) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop();
    heard.push(...lines.map((line) => JSON.parse(line)));
    if (heard.at(-1)?.Action === 'destroy') break;
  }
  assert.deepStrictEqual(heard.map((event) => event.Action), ['create', 'start', 'die', 'destroy']);
  assert.ok(heard.every((event) => event.Actor.ID === made.id && event.Type === 'container'));
  const { time } = heard[0];
  const until = heard.at(-1).time + 1;
  const past = await text(await docker.getEvents({ since: time, until, filters }));
  assert.strictEqual(past.trim().split('\n').length, 4);
});

test('archives both ways', async () => {
  await container({}, async (one) => {
    const pack = tar.pack();
    pack.entry({ name: 'a.txt', mode: 0o640, uid: 7 }, 'content');
    pack.finalize();
    await one.putArchive(pack, { path: '/tmp' });
    const info = await one.infoArchive({ path: '/tmp/a.txt' });
    const stat = JSON.parse(Buffer.from(info.headers['x-docker-container-path-stat'], 'base64'));
    assert.deepStrictEqual([stat.name, stat.size], ['a.txt', 7]);
    const extract = tar.extract();
    const names = [];
    extract.on('entry', (header, content, next) => {
      text(content).then((said) => names.push([header.name, header.uid, said]), next).then(() => next());
    });
    await pipeline(await one.getArchive({ path: '/tmp/a.txt' }), extract);
    assert.deepStrictEqual(names, [['a.txt', 7, 'content']]);
    assert.ok((await one.changes()).some(({ Path, Kind }) => Path === '/tmp/a.txt' && Kind === 1));
    const exported = await one.export();
    let size = 0;
    for await (const piece of exported) size += piece.length;
    assert.ok(size > 512 * 1024);
    await fails(one.getArchive({ path: '/nothing' }), 404);
    await fails(one.putArchive(Readable.from([]), { path: '/nothing' }), 404);
  });
});

test('lists are filtered and pruned', async () => {
  await container({ name: 'first', Labels: { tier: 'front' } }, async () => {
    await container({ name: 'second', Cmd: ['true'] }, async (second) => {
      await second.wait();
      const names = async (options) => (await docker.listContainers(options)).map((one) => one.Names[0]);
      assert.deepStrictEqual(await names(), ['/first']);
      assert.deepStrictEqual(await names({ all: true }), ['/second', '/first']);
      assert.deepStrictEqual(await names({ all: true, limit: 1 }), ['/second']);
      assert.deepStrictEqual(await names({ filters: { label: ['tier=front'] } }), ['/first']);
      assert.deepStrictEqual(await names({ all: true, filters: '{"exited":["0"]}' }), ['/second']);
      const pruned = await docker.pruneContainers();
      assert.deepStrictEqual(pruned.ContainersDeleted, [second.id]);
    });
  });
});

test('images are pulled with progress', async () => {
  const name = '127.0.0.1:5000/library/busybox:latest';
  const stream = await docker.pull(name);
  const seen = [];
  const lines = await new Promise((resolve, reject) => {
    const done = (error, output) => (error ? reject(error) : resolve(output));
    docker.modem.followProgress(stream, done, (event) => seen.push(event));
  });
  assert.ok(lines.some(({ status }) => status?.startsWith('Status: ')), JSON.stringify(lines));
  assert.strictEqual(lines.length, seen.length);
  assert.ok((await docker.getImage(name).inspect()).RepoTags.includes(name));
  assert.ok((await docker.listImages()).some(({ RepoTags }) => RepoTags.includes(name)));
  await docker.getImage(name).remove();
  await fails(docker.pull('127.0.0.1:5000/library/nothing:latest'), 404);
});

test('the system tells of itself', async () => {
  assert.strictEqual((await docker.ping()).toString(), 'OK');
  assert.strictEqual((await docker.version()).Os, 'linux');
  assert.strictEqual((await docker.info()).OSType, 'linux');
  assert.ok(Array.isArray((await docker.df()).Containers ?? []));
  assert.strictEqual((await docker.getNetwork('bridge').inspect()).Driver, 'bridge');
  const volume = await docker.createVolume({ Name: 'clients-node' });
  await (volume.remove ? volume : docker.getVolume('clients-node')).remove();
});

run();
