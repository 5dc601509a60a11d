import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BlobError } from '@headrace/shared/blobs/blob-store.ts';
import { waitingFor, waitKind } from '@headrace/shared/bulk/batch-failures.ts';
import { newerNeeded } from '@headrace/shared/stored-payload.ts';

describe('what a batch waits for, as a label of metrics', () => {
  const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
  const cases: [string | null, string][] = [
    [waitingFor(new BlobError('full', 'file_x')), 'file_storage'],
    [waitingFor(new BlobError('unavailable', 'file_x')), 'file_storage'],
    [waitingFor(full), 'temporary_files'],
    [newerNeeded('chunk', 'worker', 2), 'newer_version'],
    ['what another version may write, of file_x', 'other'],
  ];
  for (const [reason, kind] of cases) {
    test(`${reason} is ${kind}`, () => assert.equal(waitKind(reason ?? ''), kind));
  }
});
