import { test } from 'node:test';
import { assertSurvives } from '../chaos/harness/short-form.ts';
import { hostileNames } from '../chaos/rows/14-hostile-names.ts';
import { foreignIds } from '../chaos/rows/15-foreign-ids.ts';
import { canary } from '../chaos/rows/25-canary.ts';
import { requests } from '../chaos/rows/requests.ts';

test("another tenant's id is answered like one that nobody has, on every route", (t) =>
  assertSurvives(t, foreignIds));

test('no name that a caller gives does anything to the queue', (t) =>
  assertSurvives(t, hostileNames));

test('texts and names are in no log and no metric, and leave nothing behind', (t) =>
  assertSurvives(t, canary));

test('random requests from the OpenAPI document get documented answers, none of them 5xx', (t) =>
  assertSurvives(t, requests));
