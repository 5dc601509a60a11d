import { sep } from 'node:path';
import { BlobError, type BlobStore } from '../blobs/blob-store.ts';
import type { S3Options } from '../blobs/s3.ts';
import type { S3Objects } from '../blobs/s3-client.ts';
import { AppError } from '../errors.ts';
import { fileBlobKey } from '../files.ts';
import { parsePlaces, placeFor } from './allowed-places.ts';
import { fileInput } from './file-input.ts';
import { parseInputUrl, refuseUrl } from './input-url.ts';
import { type ReadableBlob, storedBlob } from './readable-blob.ts';
import { s3Input } from './s3-input.ts';

/** What a batch says of its input: one of the two is there. */
export interface InputName {
  input_file_id: string | null;
  input_url: string | null;
}

/** The inputs of batches: our own files, and what lies at URLs that the operator allows. */
export interface Inputs {
  /** @throws AppError `invalid_request` for a URL that is none, or is not allowed */
  check(url: string): void;
  /**
   * Reads nothing yet. What is not allowed here is `refused` when it is read: settings differ.
   * @param version what the content must be, as `stat` told it; null: whatever it is
   */
  open(name: InputName, version: string | null): ReadableBlob;
  close(): void;
}

interface InputsOptions {
  blobs: BlobStore;
  /** HEADRACE_BLOBS */
  blobsUrl: string;
  /** HEADRACE_INPUT_URLS */
  allowed: string | undefined;
}

/** @throws ConfigError when the allowed places hold our own files */
export function createInputs({ blobs, blobsUrl, allowed }: InputsOptions): Inputs {
  const places = parsePlaces(allowed, blobsUrl);
  const clients = new Map<S3Options, Promise<S3Objects>>();

  function store(options: S3Options): Promise<S3Objects> {
    const known = clients.get(options);
    if (known !== undefined) return known;
    // Half a second that only those pay who use it.
    const opened = import('../blobs/s3-client.ts').then(({ S3Objects }) => new S3Objects(options));
    clients.set(options, opened);
    return opened;
  }

  function find(url: string) {
    const found = placeFor(parseInputUrl(url), places);
    if (found !== null) return found;
    throw refuseUrl('is in no place that the operator of this service allows');
  }

  function openUrl(url: string, version: string | null): ReadableBlob {
    const { place, key } = find(url);
    if ('folder' in place) {
      return fileInput({ root: place.folder, segments: key.split(sep), version });
    }
    const object = { Bucket: place.s3.bucket, Key: key };
    return s3Input({ store: () => store(place.s3), object, version });
  }

  return {
    check: (url) => void find(url),

    open({ input_file_id, input_url }, version) {
      if (input_url === null) return storedBlob(blobs, fileBlobKey(input_file_id ?? ''));
      try {
        return openUrl(input_url, version);
      } catch (error) {
        if (error instanceof AppError) return refused(error);
        throw error;
      }
    },

    close() {
      for (const client of clients.values()) void client.then((objects) => objects.close());
    },
  };
}

function refused(cause: AppError): ReadableBlob {
  const refuse = () => Promise.reject(new BlobError('refused', cause.message, cause));
  return { stat: refuse, read: refuse };
}
