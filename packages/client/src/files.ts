import type { FileObject } from './api-types.ts';
import type { ByteSource } from './byte-stream.ts';
import { type Content, openContent, type Range } from './content.ts';
import { multipartBody } from './multipart.ts';
import { once } from './once.ts';
import { type List, listOf } from './pages.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface Upload extends CallOptions {
  /**
   * The content. A function gives it anew for each try; a Blob can be read again as well. What can
   * be read only once is sent only once.
   */
  content: Blob | ByteSource | (() => Blob | ByteSource);
  filename: string;
  /** `batch`: lines of requests; `user_data`: documents. */
  purpose: Exclude<FileObject['purpose'], 'batch_output'>;
  expiresAfterS?: number | undefined;
  /**
   * Bytes that were sent so far; begins anew with each try. In a page it is told of a Blob or File;
   * other content streams there, which not every browser can.
   */
  onProgress?: ((bytes: number) => void) | undefined;
}

export interface FileQuery extends CallOptions {
  purpose?: FileObject['purpose'] | undefined;
  /** Files of a page, 10,000 at most. */
  limit?: number | undefined;
  /** The `last_id` of the page before. */
  after?: string | undefined;
}

export function createFiles(transport: Transport) {
  return {
    /** Streams a file up, at the pace of the connection and of the server. */
    upload(upload: Upload): Promise<FileObject> {
      const { content, filename, purpose, expiresAfterS, onProgress, ...call } = upload;
      const fields = { purpose, ...expiry(expiresAfterS) };
      const isGone = !(content instanceof Blob) && typeof content !== 'function';
      return transport.json({
        ...call,
        ...once(),
        path: '/v1/files',
        body: (ended) => {
          const given = typeof content === 'function' ? content() : content;
          return multipartBody({ fields, filename, content: given, onProgress, ended });
        },
        repeat: isGone ? 'never' : 'always',
        timeoutMs: null,
      });
    },

    /** Newest first: a page, or one after the other with `for await`. */
    list({ purpose, limit, after, ...call }: FileQuery = {}): List<FileObject> {
      const filters = { purpose, limit };
      return listOf(
        (from) =>
          transport.json({ ...call, path: '/v1/files', query: { ...filters, after: from } }),
        after,
      );
    },

    get(id: string, call: CallOptions = {}): Promise<FileObject> {
      return transport.json({ ...call, path: pathOf(id) });
    },

    /**
     * The content, or a range of it, as a stream. Where the connection breaks, it goes on at the
     * byte that is missing, as often as `maxRetries` says without one more byte.
     */
    content(id: string, range: Range = {}): Promise<Content> {
      return openContent(transport, `${pathOf(id)}/content`, range);
    },

    async delete(id: string, call: CallOptions = {}): Promise<void> {
      await transport.json({ ...call, method: 'DELETE', path: pathOf(id) });
    },
  };
}

function pathOf(id: string): string {
  return `/v1/files/${encodeURIComponent(id)}`;
}

function expiry(seconds: number | undefined): Record<string, string> {
  if (seconds === undefined) return {};
  return { 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': `${seconds}` };
}
