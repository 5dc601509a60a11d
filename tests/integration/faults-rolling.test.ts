import { test } from 'node:test';
import { assertSurvives } from '../chaos/harness/short-form.ts';
import { rolling } from '../chaos/rows/rolling.ts';

test('API, worker and dispatcher are replaced under load, and no request fails', (t) =>
  assertSurvives(t, rolling));
