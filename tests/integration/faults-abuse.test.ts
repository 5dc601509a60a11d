import { test } from 'node:test';
import { assertSurvives } from '../chaos/harness/short-form.ts';
import { insideReceivers } from '../chaos/rows/17-inside-receivers.ts';

test('no callback reaches an inside address, however it is written or resolved', (t) =>
  assertSurvives(t, insideReceivers));
