// dockerode (npm): what its users do with networks.
'use strict';

const { assert, container, docker, fails, run, test } = require('./cases');

/** Does something with a network, and removes it. */
async function network(options, body) {
  const made = await docker.createNetwork(options);
  try {
    return await body(made);
  } finally {
    await made.remove().catch((error) => {
      if (error.statusCode !== 404) throw error;
    });
  }
}

test('create knows every option', async () => {
  const options = {
    Name: 'everything',
    CheckDuplicate: true,
    Driver: 'bridge',
    Internal: true,
    Attachable: true,
    Ingress: false,
    EnableIPv6: true,
    IPAM: {
      Driver: 'default',
      Config: [
        { Subnet: '10.63.0.0/24', IPRange: '10.63.0.128/25', Gateway: '10.63.0.254' },
        { Subnet: 'fd00:63::/64' },
      ],
      Options: { foo: 'bar' },
    },
    Options: { 'com.docker.network.bridge.enable_icc': 'true' },
    Labels: { a: 'b' },
  };
  await network(options, async (made) => {
    const told = await made.inspect();
    for (const key of ['Name', 'Driver', 'Internal', 'Attachable', 'EnableIPv6', 'Options', 'Labels']) {
      assert.deepStrictEqual(told[key], options[key], key);
    }
    assert.strictEqual(told.IPAM.Config[0].IPRange, '10.63.0.128/25');
    assert.strictEqual(told.IPAM.Config[1].Subnet, 'fd00:63::/64');
    assert.deepStrictEqual(told.IPAM.Options, options.IPAM.Options);
  });
});

test('containers join and leave', async () => {
  await network({ Name: 'joined', IPAM: { Config: [{ Subnet: '10.64.0.0/24' }] } }, async (made) => {
    await container({ name: 'one' }, async (one) => {
      await made.connect({
        Container: one.id,
        EndpointConfig: { IPAMConfig: { IPv4Address: '10.64.0.9' }, Aliases: ['first'] },
      });
      const place = (await one.inspect()).NetworkSettings.Networks.joined;
      assert.strictEqual(place.IPAddress, '10.64.0.9');
      assert.ok(place.Aliases.includes('first'));
      assert.strictEqual((await made.inspect()).Containers[one.id].Name, 'one');
      await fails(made.remove(), 403, 'active endpoints');
      await made.disconnect({ Container: one.id, Force: false });
      assert.deepStrictEqual(Object.keys((await one.inspect()).NetworkSettings.Networks), ['bridge']);
    });
  });
});

test('a container is made with its place', async () => {
  await network({ Name: 'placed', IPAM: { Config: [{ Subnet: '10.65.0.0/24' }] } }, async () => {
    const options = {
      HostConfig: { NetworkMode: 'placed' },
      NetworkingConfig: {
        EndpointsConfig: { placed: { IPAMConfig: { IPv4Address: '10.65.0.9' }, Aliases: ['x'] } },
      },
    };
    await container(options, async (one) => {
      const place = (await one.inspect()).NetworkSettings.Networks.placed;
      assert.strictEqual(place.IPAddress, '10.65.0.9');
    });
  });
});

test('networks are listed and pruned', async () => {
  const names = async (filters) =>
    (await docker.listNetworks({ filters: JSON.stringify(filters) })).map((n) => n.Name).sort();
  await network({ Name: 'listed', Labels: { color: 'red' } }, async () => {
    assert.deepStrictEqual(await names({ type: ['custom'] }), ['listed']);
    assert.deepStrictEqual(await names({ label: ['color=red'] }), ['listed']);
    assert.deepStrictEqual(await names({ label: ['color=blue'] }), []);
    const told = await docker.pruneNetworks({ filters: JSON.stringify({ label: ['color=red'] }) });
    assert.deepStrictEqual(told.NetworksDeleted, ['listed']);
  });
});

test('what cannot be is refused', async () => {
  await network({ Name: 'taken' }, async (made) => {
    await fails(docker.createNetwork({ Name: 'taken', CheckDuplicate: true }), 409, 'already exists');
    await fails(made.connect({ Container: 'nobody' }), 404, 'nobody');
    await fails(docker.getNetwork('bridge').remove(), 403, 'bridge');
    await fails(docker.getNetwork('nobody').inspect(), 404, 'nobody');
  });
});

run();
