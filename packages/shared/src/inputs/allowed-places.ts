import { resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { parseS3, placeProblem } from '../blobs/index.ts';
import type { S3Options } from '../blobs/s3.ts';
import { ConfigError } from '../env.ts';
import type { InputUrl } from './input-url.ts';

/** A place from which inputs may be read by their URL. */
export type AllowedPlace = { folder: string } | { s3: S3Options };

/** Every process that reads inputs, or is asked to, has to know the same places. */
export const inputEnv = {
  HEADRACE_INPUT_URLS: z
    .string()
    .superRefine((list, context) => {
      for (const [i, url] of entriesOf(list).entries()) {
        const problem = /^(file|s3):/.test(url)
          ? placeProblem(url)
          : 'must be a file:/// or s3:// URL';
        if (problem === null) continue;
        context.addIssue({ code: 'custom', message: `entry ${i + 1} ${problem}` });
      }
    })
    .optional()
    .describe(
      'Places that batches may name as input_url, the same for API, worker and dispatcher: ' +
        'file:///folder and s3://bucket/prefix (settings as HEADRACE_BLOBS, else those of its ' +
        'store), separated by commas. Saves uploads, but whoever may create a batch can read ' +
        'everything there. Unset: none.',
    ),
};

function entriesOf(list = ''): string[] {
  return list
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/**
 * @param blobs where our own files are; an S3 place without settings has those of that store
 * @throws ConfigError when a place holds our own files, which belong to many tenants
 */
export function parsePlaces(list: string | undefined, blobs: string): AllowedPlace[] {
  const own = placeOf(blobs, null);
  const store = 's3' in own ? own.s3 : null;
  return entriesOf(list).map((entry, i) => {
    const place = placeOf(entry, store);
    if (!overlap(place, own)) return place;
    throw new ConfigError(`HEADRACE_INPUT_URLS: entry ${i + 1} holds the files of HEADRACE_BLOBS`);
  });
}

function placeOf(url: string, store: S3Options | null): AllowedPlace {
  if (url.startsWith('s3:')) {
    const own = parseS3(url);
    const isBare = store !== null && !url.includes('?');
    return { s3: isBare ? { ...store, bucket: own.bucket, prefix: own.prefix } : own };
  }
  return { folder: resolve(url.startsWith('file:') ? fileURLToPath(url) : url) };
}

function overlap(a: AllowedPlace, b: AllowedPlace): boolean {
  if ('folder' in a && 'folder' in b) return nested(a.folder + sep, b.folder + sep);
  if (!('s3' in a) || !('s3' in b) || a.s3.bucket !== b.s3.bucket) return false;
  return a.s3.endpoint === b.s3.endpoint && nested(a.s3.prefix, b.s3.prefix);
}

function nested(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a);
}

/** The place that holds an input, and where in it; null when there is none. */
export function placeFor(url: InputUrl, places: readonly AllowedPlace[]) {
  for (const place of places) {
    if (url.scheme === 's3' && 's3' in place) {
      const { bucket, prefix } = place.s3;
      if (url.bucket === bucket && url.key.startsWith(prefix)) return { place, key: url.key };
    }
    if (url.scheme === 'file' && 'folder' in place) {
      const path = sep + url.segments.join(sep);
      const folder = place.folder === sep ? sep : place.folder + sep;
      if (path.startsWith(folder)) return { place, key: path.slice(folder.length) };
    }
  }
  return null;
}
