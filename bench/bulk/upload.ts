import { Readable } from 'node:stream';
import { request } from 'undici';
import { z } from 'zod';

const BOUNDARY = 'headrace-bench';
const LINES_A_PIECE = 256;

export interface UploadedInput {
  fileId: string;
  bytes: number;
  seconds: number;
}

/** Sends `rows` documents, texts over and over under ids of their own, as they are made. */
export async function uploadDocuments(
  apiUrl: string,
  texts: readonly string[],
  rows: number,
): Promise<UploadedInput> {
  const began = performance.now();
  const answer = await request(`${apiUrl}/v1/files`, {
    method: 'POST',
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
    body: Readable.from(formOf(texts, rows)),
    headersTimeout: 0,
  });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`the upload: ${answer.statusCode} ${text}`);
  const { id, bytes } = Uploaded.parse(JSON.parse(text));
  return { fileId: id, bytes, seconds: (performance.now() - began) / 1000 };
}

const Uploaded = z.object({ id: z.string(), bytes: z.number() });

async function* formOf(texts: readonly string[], rows: number): AsyncGenerator<string> {
  const part = (name: string) => `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"`;
  yield `${part('purpose')}\r\n\r\nuser_data\r\n${part('file')}; filename="documents.jsonl"\r\n\r\n`;
  const quoted = texts.map((text) => JSON.stringify(text));
  for (let from = 0; from < rows; from += LINES_A_PIECE) {
    const until = Math.min(rows, from + LINES_A_PIECE);
    let lines = '';
    for (let row = from; row < until; row++) {
      lines += `{"id":"r${row}","text":${quoted[row % quoted.length]}}\n`;
    }
    yield lines;
  }
  yield `\r\n--${BOUNDARY}--\r\n`;
}
