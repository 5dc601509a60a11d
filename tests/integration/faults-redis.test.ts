import { test } from 'node:test';
import { assertSurvives } from '../chaos/harness/short-form.ts';
import { redisAway } from '../chaos/rows/06-redis-away.ts';
import { failover } from '../chaos/rows/07-failover.ts';

test('while Redis is away the API says when to come back, and no job fails', (t) =>
  assertSurvives(t, redisAway));

test('no job fails when the master turns read-only, and the logs stay short', (t) =>
  assertSurvives(t, failover));
