import { test } from 'node:test';
import { assertSurvives } from '../chaos/harness/short-form.ts';
import { cpuBlocked } from '../chaos/rows/10-cpu-blocked.ts';
import { idempotency } from '../chaos/rows/13-idempotency.ts';
import { tokenizerWorstCase } from '../chaos/rows/21-tokenizer-worst-case.ts';
import { rateLimit } from '../chaos/rows/22-rate-limit.ts';
import { noisyTenant } from '../chaos/rows/23-noisy-tenant.ts';

test('a worker without CPU for 5 s loses no lock, and long texts are answered beside others', (t) =>
  assertSurvives(t, cpuBlocked));

test('the tokenizer looks at no more of a text than its cap', (t) =>
  assertSurvives(t, tokenizerWorstCase));

test('a quiet tenant and the lowest class are served beside the flood of a noisy one', (t) =>
  assertSurvives(t, noisyTenant));

test('a hundred submissions under one key are one job, and a crash leaves no key held', (t) =>
  assertSurvives(t, idempotency));

test('fifty clients who race past a rate limit get no more than it allows', (t) =>
  assertSurvives(t, rateLimit));
