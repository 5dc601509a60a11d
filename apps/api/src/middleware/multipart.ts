import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { AppError } from '@headrace/shared/errors.ts';
import type { Context } from 'hono';
import type { ApiEnv } from './api-env.ts';

const MULTIPART = /^multipart\/form-data\s*;.*boundary=/i;
const LIMITS = { files: 1, fields: 8, parts: 10, fieldNameSize: 100, fieldSize: 1_024 };

interface UploadedFile<Stored> {
  /** As the client gave it; may hold anything. */
  filename: string;
  stored: Stored;
}

export interface Upload<Stored> {
  file: UploadedFile<Stored>;
  /** Every other field of the form. */
  fields: Map<string, string>;
}

type StoreContent<Stored> = (content: Readable, signal: AbortSignal) => Promise<Stored>;

/**
 * Reads a form with exactly one file, named `file`. Its content streams into `store` as it comes,
 * at the pace of the store; the signal is aborted when the form turns out to be broken.
 * @throws AppError `unsupported_media_type` or `invalid_request`; what `store` throws
 */
export async function readUpload<Stored extends NonNullable<unknown>>(
  c: Context<ApiEnv>,
  store: StoreContent<Stored>,
  discard: (stored: Stored) => Promise<void>,
): Promise<Upload<Stored>> {
  const type = c.req.header('content-type') ?? '';
  if (!MULTIPART.test(type)) {
    throw new AppError('unsupported_media_type', {
      message: 'The content type must be multipart/form-data with a boundary.',
    });
  }
  const form = new Form(type, store);
  try {
    await form.read(c.req.raw.body);
    const file = await form.file;
    if (file === null) throw invalid('file', 'is missing');
    return { file, fields: form.fields };
  } catch (error) {
    const file = await form.abandon(error);
    if (file !== null) await discard(file.stored);
    throw error;
  }
}

class Form<Stored extends NonNullable<unknown>> {
  readonly fields = new Map<string, string>();
  file: Promise<UploadedFile<Stored> | null> = Promise.resolve(null);
  readonly #parser: BusboyInstance;
  readonly #aborted = new AbortController();
  #content: Readable | null = null;
  #failure: unknown = null;

  constructor(type: string, store: StoreContent<Stored>) {
    this.#parser = openParser(type);
    this.#parser.on('file', (field, content, filename) => {
      this.#content = content;
      // A broken form ends its file with an error that the form itself reports.
      content.on('error', () => {});
      if (field !== 'file')
        return this.#fail(invalid(field, 'is a file; the file is named `file`'));
      this.file = store(content, this.#aborted.signal).then((stored) => ({
        filename: filename ?? '',
        stored,
      }));
      this.file.catch((error) => this.#fail(error));
    });
    this.#parser.on('field', (name, value, ...[nameCut, valueCut]) => {
      if (nameCut || valueCut) return this.#fail(invalid(name, 'is too long'));
      if (this.fields.has(name)) return this.#fail(invalid(name, 'is given twice'));
      this.fields.set(name, value);
    });
    for (const limit of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const) {
      this.#parser.on(limit, () => this.#fail(invalid(null, 'the form has too many parts')));
    }
  }

  async read(body: ReadableStream | globalThis.ReadableStream | null): Promise<void> {
    if (body === null) throw invalid(null, 'the form is empty');
    const { signal } = this.#aborted;
    try {
      await pipeline(Readable.fromWeb(body as ReadableStream), this.#parser, { signal });
    } catch (error) {
      throw this.#failure ?? brokenForm(error);
    }
    if (this.#failure !== null) throw this.#failure;
  }

  /** Ends whatever still runs. @returns the file, if all of it was stored before the failure */
  async abandon(error: unknown): Promise<UploadedFile<Stored> | null> {
    this.#fail(error);
    this.#content?.destroy(error instanceof Error ? error : undefined);
    return this.file.catch(() => null);
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#aborted.abort(this.#failure);
  }
}

function openParser(type: string): BusboyInstance {
  try {
    return new Busboy({ headers: { 'content-type': type }, limits: LIMITS });
  } catch (error) {
    throw brokenForm(error);
  }
}

function brokenForm(cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const message = 'the form is not valid multipart/form-data, or is not complete';
  return new AppError('invalid_request', { message, cause });
}

function invalid(param: string | null, problem: string): AppError {
  const name = param?.slice(0, 100) ?? null;
  const message = name === null ? problem : `${name}: ${problem}`;
  return new AppError('invalid_request', { message, param: name });
}
