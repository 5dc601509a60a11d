import { type ByteSource, pieces, readableStream } from './byte-stream.ts';
import { randomHex } from './random-hex.ts';
import type { RequestBody } from './transport.ts';
import { hasXhr } from './xhr.ts';

export interface Form {
  fields: Record<string, string>;
  filename: string;
  content: Blob | ByteSource;
  /** Bytes of the file that were taken so far. */
  onProgress?: ((bytes: number) => void) | undefined;
  /** Aborted when nobody reads the body any more. */
  ended: AbortSignal;
}

/**
 * A form with one file, as a body that is never whole in memory. A Blob stays one in a browser, which
 * reads it from where it is; elsewhere it is a stream if somebody wants to know the progress.
 */
export function multipartBody(form: Form): RequestBody {
  const { fields, filename, content, onProgress, ended } = form;
  const boundary = `headrace-${randomHex()}`;
  const type = `multipart/form-data; boundary=${boundary}`;
  const part = (disposition: string) =>
    `--${boundary}\r\ncontent-disposition: form-data; ${disposition}\r\n`;
  const parts = Object.entries(fields).map(([name, value]) => {
    return `${part(`name="${quoted(name)}"`)}\r\n${value}\r\n`;
  });
  const file = part(`name="file"; filename="${quoted(filename)}"`);
  const head = `${parts.join('')}${file}content-type: application/octet-stream\r\n\r\n`;
  const tail = `\r\n--${boundary}--\r\n`;
  if (content instanceof Blob && (onProgress === undefined || hasXhr())) {
    const headBytes = new Blob([head]).size;
    const onSent =
      onProgress &&
      ((sent: number) => onProgress(Math.max(0, Math.min(content.size, sent - headBytes))));
    return { content: new Blob([head, content, tail]), type, onSent };
  }
  const source = content instanceof Blob ? content.stream() : content;
  return { content: readableStream(around({ head, source, tail, onProgress }), ended), type };
}

interface Around extends Pick<Form, 'onProgress'> {
  head: string;
  source: ByteSource;
  tail: string;
}

async function* around({ head, source, tail, onProgress }: Around): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  yield encoder.encode(head);
  let bytes = 0;
  for await (const piece of pieces(source)) {
    yield piece;
    bytes += piece.byteLength;
    onProgress?.(bytes);
  }
  yield encoder.encode(tail);
}

/** As the HTML standard escapes a name within quotes. */
function quoted(name: string): string {
  return name.replace(/\r\n|\r|\n/g, '%0D%0A').replaceAll('"', '%22');
}
