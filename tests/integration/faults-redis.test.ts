import { test } from 'node:test';
import { assertSurvives } from '../chaos/harness/short-form.ts';
import { redisKilled } from '../chaos/rows/05-redis-killed.ts';
import { redisAway } from '../chaos/rows/06-redis-away.ts';
import { failover } from '../chaos/rows/07-failover.ts';
import { halfOpen } from '../chaos/rows/08-half-open.ts';
import { redisFull } from '../chaos/rows/09-redis-full.ts';

test('while Redis is away the API says when to come back, and no job fails', (t) =>
  assertSurvives(t, redisAway));

test('no job fails when the master turns read-only, and the logs stay short', (t) =>
  assertSurvives(t, failover));

test('a worker whose way to Redis is cut silently stops nothing, and its late results are refused', (t) =>
  assertSurvives(t, halfOpen));

test('a killed Redis loses no acknowledged job, and what is sent again is one job', (t) =>
  assertSurvives(t, redisKilled));

test('a Redis that fills up refuses in time, drains, and goes on', (t) =>
  assertSurvives(t, redisFull));
