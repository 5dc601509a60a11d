import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseRedisUrl, redisUrlProblem } from '@headrace/shared/redis/address.ts';
import { parseConfig } from '../../apps/api/src/config.ts';

const FILE = fileURLToPath(import.meta.url);

describe('REDIS_URL', () => {
  test('names one server, with login and database', () => {
    const { options } = parseRedisUrl('redis://api:p%40ss:word@[::1]:6380/3');
    assert.deepEqual(options, {
      ...{ username: 'api', password: 'p@ss:word', host: '::1', port: 6380, db: 3 },
    });
    const { options: plain } = parseRedisUrl('redis://redis');
    assert.deepEqual(plain, { host: 'redis', port: 6379, db: 0 });
    const { options: old } = parseRedisUrl('redis://:secret@redis/');
    assert.deepEqual(old, { password: 'secret', host: 'redis', port: 6379, db: 0 });
    assert.deepEqual(parseRedisUrl('unix:///run/r.sock').options, { path: '/run/r.sock' });
  });

  test('names files for TLS, which is verified in any case', () => {
    assert.deepEqual(parseRedisUrl('rediss://redis').tls, { rejectUnauthorized: true });
    const { tls } = parseRedisUrl(`rediss://redis?ca=${FILE}&cert=${FILE}&key=${FILE}`);
    assert.match(String(tls?.ca), /names files for TLS/);
    assert.equal(tls?.rejectUnauthorized, true);
  });

  test('names Sentinels and their master', () => {
    const url = 'redis-sentinel://api:p@one,two:26380/mymaster?sentinel_password=s';
    const sentinels = [
      { host: 'one', port: 26_379 },
      { host: 'two', port: 26_380 },
    ];
    assert.deepEqual(parseRedisUrl(url).options, {
      ...{ username: 'api', password: 'p', sentinels, name: 'mymaster', sentinelPassword: 's' },
    });
    const { options } = parseRedisUrl('rediss-sentinel://one/mymaster');
    assert.deepEqual(options.sentinelTLS, { rejectUnauthorized: true });
    assert.equal(options.enableTLSForSentinelMode, true);
  });

  test('names nodes of a cluster', () => {
    const { cluster, options } = parseRedisUrl('redis-cluster://one:7000,two');
    assert.deepEqual(cluster, [
      { host: 'one', port: 7_000 },
      { host: 'two', port: 6_379 },
    ]);
    assert.deepEqual(options, {});
  });

  test('that is wrong is refused, and nothing of it is repeated', () => {
    for (const [url, problem] of [
      ['http://hunter2', /must be redis:\/\//],
      ['redis://u:hunter2@', /must be redis:\/\//],
      ['redis://u:hunter2@a b', /host:port/],
      ['redis://u:hunter2@a:70000', /host:port/],
      ['redis://u:hunter2@a,b', /one host/],
      ['redis://u:%zz@hunter2', /percent-encoded/],
      ['redis://hunter2/x', /database/],
      ['redis://hunter2?ca=/hunter2', /not known here; there are: none/],
      ['rediss://a?hunter2=1', /there are: ca, cert, key/],
      ['rediss://a?ca=/hunter2/nowhere', /file for ca that cannot be read/],
      [`rediss://a?cert=${FILE}`, /both cert and key/],
      ['redis-sentinel://hunter2', /name of the master/],
      ['redis-cluster://hunter2/1', /no database/],
    ] as const) {
      const said = redisUrlProblem(url) ?? '';
      assert.match(said, problem, url);
      assert.doesNotMatch(said, /hunter2/);
      assert.throws(
        () => parseConfig({ REDIS_URL: url }),
        ({ message }: Error) => message.includes(`REDIS_URL: ${said}`),
      );
    }
  });
});
