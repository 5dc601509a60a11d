import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { BlobStore } from './blob-store.ts';
import { FolderBlobStore } from './folder.ts';
import type { S3Options } from './s3.ts';

const S3_SETTINGS = z.strictObject({
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  region: z.string().min(1).default('us-east-1'),
  path_style: z.enum(['true', 'false']).default('false'),
  timeout_s: z.coerce.number().int().min(1).max(600).default(30),
});

/** Where every process that reads or writes files finds them. */
export const blobEnv = {
  HEADRACE_BLOBS: z
    .string()
    .default('.headrace/blobs')
    .superRefine((url, context) => {
      const problem = placeProblem(url);
      if (problem !== null) context.addIssue({ code: 'custom', message: problem });
    })
    .describe(
      'Files and results, the same for API, worker and dispatcher: a folder, or ' +
        's3://bucket/prefix?endpoint=…&region=…&path_style=true&timeout_s=30 with ' +
        'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY set. A folder needs a disk that all of them ' +
        'share. timeout_s: a store that says nothing for so long is tried again.',
    ),
};

/**
 * @param url a folder, as a path or as `file:///…`, or `s3://bucket/prefix?endpoint=…`
 * @throws Error that says what is wrong with it; it never holds the URL, which may hold secrets
 */
export async function openBlobStore(url: string): Promise<BlobStore> {
  const problem = placeProblem(url);
  if (problem !== null) throw new Error(`The place of files ${problem}`);
  if (!url.startsWith('s3:')) {
    return new FolderBlobStore(url.startsWith('file:') ? fileURLToPath(url) : url);
  }
  // Half a second that only those pay who use it.
  const { S3BlobStore } = await import('./s3.ts');
  return new S3BlobStore(parseS3(url));
}

const SCHEME = /^([a-z][a-z0-9+.-]*):/i;

/** What is wrong with a place of files; null: nothing. It never repeats the URL. */
export function placeProblem(url: string): string | null {
  const [, scheme] = SCHEME.exec(url) ?? [];
  if (scheme === undefined) return url === '' ? 'must not be empty' : null;
  if (!URL.canParse(url)) return 'must be a folder, or a file:/// or s3:// URL';
  const parsed = new URL(url);
  if (parsed.username !== '' || parsed.password !== '') {
    return 'must hold no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY';
  }
  if (scheme === 'file') return parsed.host === '' ? null : 'must be file:/// and a path';
  if (scheme !== 's3') return 'must be a folder, or a file:/// or s3:// URL';
  if (parsed.host === '') return 'must name a bucket: s3://bucket/prefix';
  const settings = S3_SETTINGS.safeParse(Object.fromEntries(parsed.searchParams));
  if (settings.success) return null;
  return 'may have endpoint=https://…, region=…, path_style=true or false and timeout_s=… only';
}

/** @param place an `s3:` URL with nothing wrong */
export function parseS3(place: string): S3Options {
  const url = new URL(place);
  const settings = S3_SETTINGS.parse(Object.fromEntries(url.searchParams));
  const { endpoint, region, path_style, timeout_s } = settings;
  const path = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '');
  return {
    bucket: url.host,
    prefix: path === '' ? '' : `${path}/`,
    region,
    pathStyle: path_style === 'true',
    requestTimeoutMs: timeout_s * 1000,
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}
