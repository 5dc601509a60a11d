import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Batch, BatchSchema } from '@headrace/shared/bulk/batch.ts';
import { FileSchema } from '@headrace/shared/files.ts';
import { z } from 'zod';

const AGAIN_MS = 50;
/** Beyond any fault of the table. */
const GIVE_UP_MS = 180_000;

const FilePage = z.object({ data: z.array(FileSchema), has_more: z.boolean() });

/** A caller who asks again while the API, or Redis behind it, is away. */
export class BatchClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** One try, whatever is answered. */
  uploadOnce(content: string, headers: Record<string, string>): Promise<Response> {
    return fetch(`${this.#url}/v1/files`, { method: 'POST', headers, body: formOf(content) });
  }

  /** @returns the id of the file */
  async upload(content: string): Promise<string> {
    const form = formOf(content);
    const response = await this.#insist('/v1/files', { method: 'POST', body: form });
    return FileSchema.parse(await response.json()).id;
  }

  /** An upload that has no end. Resolves when it has failed. */
  async uploadForever(more: Record<string, string> = {}): Promise<void> {
    const boundary = 'endless';
    const head =
      `--${boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n` +
      `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="rows"\r\n\r\n`;
    const body = new ReadableStream({
      start: (stream) => stream.enqueue(Buffer.from(`${head}${'a line\n'.repeat(50_000)}`)),
    });
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}`, ...more };
    const options = { method: 'POST', headers, body, duplex: 'half' as const };
    await fetch(`${this.#url}/v1/files`, options).catch(() => undefined);
  }

  async create(request: object): Promise<Batch> {
    const headers = { 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: JSON.stringify(request) };
    return BatchSchema.parse(await (await this.#insist('/v1/batches', init)).json());
  }

  async get(id: string): Promise<Batch> {
    return BatchSchema.parse(await (await this.#insist(`/v1/batches/${id}`)).json());
  }

  /** @returns every file there is */
  async files(): Promise<string[]> {
    const page = FilePage.parse(await (await this.#insist('/v1/files?limit=1000')).json());
    if (page.has_more) throw new Error('there are more files than fit a page');
    return page.data.map(({ id }) => id);
  }

  /** @returns the SHA-256 of a file's content, and how many bytes and lines it has */
  async content(id: string | null): Promise<{ sha256: string; bytes: number; lines: number }> {
    if (id === null) return { sha256: '', bytes: 0, lines: 0 };
    const response = await this.#insist(`/v1/files/${id}/content`);
    const content = Buffer.from(await response.arrayBuffer());
    let lines = 0;
    for (const byte of content) if (byte === 10) lines += 1;
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { sha256, bytes: content.length, lines };
  }

  async #insist(path: string, init: RequestInit = {}): Promise<Response> {
    const giveUp = performance.now() + GIVE_UP_MS;
    for (;;) {
      const response = await fetch(`${this.#url}${path}`, init).catch(() => null);
      if (response?.ok) return response;
      const isFinal = response !== null && response.status !== 503;
      if (isFinal || performance.now() > giveUp) {
        const answer =
          response === null ? 'no answer' : `${response.status} ${await response.text()}`;
        throw new Error(`${path}: ${answer}`);
      }
      await sleep(AGAIN_MS);
    }
  }
}

function formOf(content: string): FormData {
  const form = new FormData();
  form.append('purpose', 'user_data');
  form.append('file', new Blob([content]), 'rows');
  return form;
}
