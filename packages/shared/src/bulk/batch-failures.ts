import { BlobError, type BlobFailure } from '../blobs/blob-store.ts';
import { NEWER } from '../stored-payload.ts';
import type { BatchDefinition, BatchError } from './batch.ts';

/** Failures of storage that are about one blob: to wait would not help. */
const FINAL = new Set<BlobFailure>(['missing', 'range', 'changed']);

/** Of temporary files, which have no store that would say what it means. */
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

const FILE_STORAGE = 'the file storage';
const TEMPORARY_FILES = 'the folder of temporary files';

/**
 * Why a batch cannot go on at the moment, as it shows it in `waiting_for`; null when the failure is
 * none that passes. What the batch needs may also come from an operator: rights, or a bucket.
 */
export function waitingFor(error: unknown): string | null {
  if (error instanceof BlobError) {
    return FINAL.has(error.reason) ? null : `${FILE_STORAGE}: ${error.reason}`;
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return DISK_FULL.has(code) ? `${TEMPORARY_FILES}: full` : null;
}

/** What a batch waits for, in one word of a few, as metrics want it. */
export function waitKind(reason: string): string {
  const kinds = { [FILE_STORAGE]: 'file_storage', [TEMPORARY_FILES]: 'temporary_files' };
  const known = Object.entries(kinds).find(([words]) => reason.startsWith(words));
  return known?.[1] ?? (reason.startsWith(NEWER) ? 'newer_version' : 'other');
}

/** What the loss of its input means to a batch; null when the failure is none. */
export function inputFailure(error: unknown, definition: BatchDefinition): BatchError | null {
  if (!(error instanceof BlobError) || !FINAL.has(error.reason)) return null;
  const isUrl = definition.input_url !== null;
  const param = isUrl ? 'input_url' : 'input_file_id';
  if (error.reason === 'missing') {
    const message = isUrl ? 'There is no such input.' : 'The input file does not exist any more.';
    return { code: isUrl ? 'input_not_found' : 'input_file_gone', message, param, line: null };
  }
  const message = 'The input was changed after the batch had begun to read it.';
  return { code: 'input_changed', message, param, line: null };
}
