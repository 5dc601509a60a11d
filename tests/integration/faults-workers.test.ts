import { test } from 'node:test';
import { assertSurvives } from '../chaos/harness/short-form.ts';
import { workerKilled } from '../chaos/rows/01-worker-killed.ts';
import { rollingSigterm } from '../chaos/rows/11-rolling-sigterm.ts';
import { sigtermWhileHung } from '../chaos/rows/12-sigterm-while-hung.ts';

test('kill -9 of workers loses and doubles nothing, and repeats only what was in flight', (t) =>
  assertSurvives(t, workerKilled));

test('workers that stop one after the other infer nothing twice and exit with 0', (t) =>
  assertSurvives(t, rollingSigterm));

test('a worker that stops while a batch hangs gives back what has not started', (t) =>
  assertSurvives(t, sigtermWhileHung));
