import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AppError } from '@headrace/shared/errors.ts';
import { apiEnv, parseConfig } from '../../apps/api/src/config.ts';
import { preferredWaitS } from '../../apps/api/src/routes/prefer.ts';

describe('the configuration of the API', () => {
  test('has a default for everything', () => {
    const config = parseConfig({});
    assert.equal(config.HOST, '127.0.0.1');
    assert.equal(config.PORT, 8000);
    assert.equal(config.HEADRACE_DEFAULT_MODEL, 'sentiment');
    assert.equal(config.HEADRACE_READY_NEEDS_WORKER, true);
  });

  test('says the trade-off of every variable', () => {
    for (const [name, schema] of Object.entries(apiEnv)) {
      assert.ok((schema.description ?? '').length > 20, name);
    }
  });

  test('reports all problems at once, and no value', () => {
    const env = {
      ...{ PORT: 'secret', HEADRACE_ADMIN_KEY: 'secret', HEADRACE_MAX_ROWS: '0', REDIS_URL: 'x' },
    };
    assert.throws(
      () => parseConfig(env),
      ({ message }: Error) => {
        for (const name of Object.keys(env)) assert.match(message, new RegExp(name));
        assert.doesNotMatch(message, /secret/);
        return true;
      },
    );
  });
});

describe('the preference to wait', () => {
  const accepted: [string | undefined, number | null][] = [
    [undefined, null],
    ['respond-async', null],
    ['waiting=3', null],
    ['wait=1', 1],
    ['wait=60', 60],
    ['WAIT = "5"', 5],
    ['respond-async, wait=10', 10],
    ['wait=10; foo=bar', 10],
  ];
  for (const [header, seconds] of accepted) {
    test(`is ${seconds} in ${header}`, () => assert.equal(preferredWaitS(header, 60), seconds));
  }

  for (const header of ['wait', 'wait=', 'wait=abc', 'wait=0', 'wait=61', 'wait=1.5', 'wait=-1']) {
    test(`is refused in ${header}`, () => {
      assert.throws(
        () => preferredWaitS(header, 60),
        (error) => error instanceof AppError && error.param === 'Prefer',
      );
    });
  }
});
