import { test } from 'node:test';
import { assertSurvives } from '../chaos/harness/short-form.ts';
import { engineKilled } from '../chaos/rows/02-engine-killed.ts';
import { rowCrashesEngine } from '../chaos/rows/03-row-crashes-engine.ts';
import { rowMisbehaves } from '../chaos/rows/04-row-misbehaves.ts';
import { NO_CRASH } from '../helpers/engines.ts';

test('kill -9 of an engine stalls and loses nothing, and repeats one batch at most', (t) =>
  assertSurvives(t, engineKilled));

test('a row that crashes the engine fails alone, after few crashes', { skip: NO_CRASH }, (t) =>
  assertSurvives(t, rowCrashesEngine),
);

test('a row that throws, gives NaN or hangs fails alone', (t) => assertSurvives(t, rowMisbehaves));
