import { test } from 'node:test';
import { assertSurvives } from '../chaos/harness/short-form.ts';
import { batch } from '../chaos/rows/batch.ts';

test('a batch comes to the same bytes whatever is killed, and leaves nothing behind', (t) =>
  assertSurvives(t, batch));
