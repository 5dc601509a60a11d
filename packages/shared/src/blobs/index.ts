import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { BlobStore } from './blob-store.ts';
import { FolderBlobStore } from './folder.ts';

/** Where every process that reads or writes files finds them. */
export const blobEnv = {
  HEADRACE_BLOBS: z
    .string()
    .regex(/^(file:\/\/\/|(?![a-z][a-z0-9+.-]*:))./, 'must be a folder or a file:/// URL')
    .default('.headrace/blobs')
    .describe('Folder of uploaded files and results; the same one for API, worker, dispatcher.'),
};

/** @param url a folder, as a path or as `file:///…` */
export function openBlobStore(url: string): BlobStore {
  return new FolderBlobStore(url.startsWith('file:') ? fileURLToPath(url) : url);
}
