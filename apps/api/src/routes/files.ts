import { Readable } from 'node:stream';
import { integer } from '@headrace/shared/env.ts';
import {
  FILE_PURPOSES,
  type FileObject,
  FileSchema,
  UPLOAD_PURPOSES,
} from '@headrace/shared/files.ts';
import { isFileId } from '@headrace/shared/ids.ts';
import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { AppDeps } from '../app.ts';
import type { FileUpload } from '../file-uploads.ts';
import type { FileDetails } from '../files.ts';
import { answer, answerJson } from '../middleware/answer.ts';
import type { ApiEnv } from '../middleware/api-env.ts';
import { parseRange } from '../middleware/byte-range.ts';
import { tenantOf } from '../middleware/caller.ts';
import { ONCE_HEADER, onceDigestOf, REPLAYED } from '../middleware/idempotency.ts';
import { readUpload } from '../middleware/multipart.ts';
import { expectNoQuery, parseQuery } from '../middleware/query.ts';
import { type ApiApp, addRoute, json } from './add-route.ts';

const TAGS = ['Files'];
const FileParams = z.object({ id: z.string().openapi({ example: 'file-…' }) });
const FileList = z
  .object({
    object: z.literal('list'),
    data: z.array(FileSchema),
    has_more: z.boolean().describe('Files are left to look at; a page may be short or empty.'),
    first_id: z.string().nullable(),
    last_id: z.string().nullable().describe('Goes on from here as `after`.'),
  })
  .meta({ id: 'FileList' });
const FileDeleted = z
  .object({ id: z.string(), object: z.literal('file'), deleted: z.literal(true) })
  .meta({ id: 'FileDeleted' });

/** Pages are shorter than what a client may ask for; it goes on with `after`. */
const MAX_PAGE = 1_000;
const ListQuery = z.strictObject({
  purpose: z.enum(FILE_PURPOSES).optional(),
  order: z.enum(['asc', 'desc']).default('desc'),
  limit: integer(1, 10_000)
    .default(MAX_PAGE)
    .describe(`A page has ${MAX_PAGE} files at most.`)
    .openapi({ type: 'integer', minimum: 1, maximum: 10_000, default: MAX_PAGE }),
  after: z.string().refine(isFileId, 'must be the id of a file').optional(),
});

const MIN_EXPIRY_S = 3_600;
const MAX_EXPIRY_S = 30 * 86_400;
const UploadFields = z.strictObject({
  purpose: z.enum(UPLOAD_PURPOSES),
  'expires_after[anchor]': z.literal('created_at').optional(),
  'expires_after[seconds]': integer(MIN_EXPIRY_S, MAX_EXPIRY_S)
    .optional()
    .openapi({ type: 'integer', minimum: MIN_EXPIRY_S, maximum: MAX_EXPIRY_S }),
});
const UploadForm = UploadFields.extend({
  file: z.string().openapi({ type: 'string', format: 'binary' }),
}).meta({ id: 'FileUpload' });

const REDIS_ERRORS = ['redis_unavailable', 'storage_nearly_full'] as const;

export function addFileRoutes(app: ApiApp, deps: AppDeps): void {
  addUpload(app, deps);
  addList(app, deps);
  addReadAndDelete(app, deps);
  addContent(app, deps);
}

function addUpload(app: ApiApp, { openUpload }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'post',
      path: '/v1/files',
      access: 'batches',
      summary: 'Upload a file',
      tags: TAGS,
      request: {
        headers: z.object(ONCE_HEADER),
        body: { required: true, content: { 'multipart/form-data': { schema: UploadForm } } },
      },
      answers: { 200: json('The file.', FileSchema) },
      errors: [
        ...(['invalid_request', 'body_too_large', 'unsupported_media_type'] as const),
        ...(['idempotency_in_progress', 'idempotency_mismatch'] as const),
        ...(['storage_unavailable', ...REDIS_ERRORS] as const),
      ],
    },
    async (c) => {
      expectNoQuery(c);
      const upload = await openUpload(tenantOf(c), onceDigestOf(c));
      try {
        const file = await receive(c, upload);
        return answerJson(c, file, { headers: upload.replayed ? REPLAYED : {} });
      } finally {
        await upload.end();
      }
    },
  );
}

async function receive(c: Context<ApiEnv>, upload: FileUpload): Promise<FileObject> {
  const { file, fields } = await readUpload(c, upload.take, upload.discard);
  try {
    return await upload.finish(file.stored, detailsOf(file, fields));
  } catch (error) {
    await upload.discard(file.stored).catch(() => undefined);
    throw error;
  }
}

/** @throws AppError `invalid_request` */
function detailsOf(
  file: { filename: string; stored: { bytes: number } },
  fields: Map<string, string>,
): FileDetails {
  const parsed = UploadFields.safeParse(Object.fromEntries(fields));
  if (!parsed.success) throw invalidRequest(parsed.error);
  if (file.stored.bytes === 0) {
    throw invalidRequest(new z.ZodError([{ code: 'custom', path: ['file'], message: 'is empty' }]));
  }
  return {
    filename: cleanName(file.filename),
    purpose: parsed.data.purpose,
    expiresAfterS: parsed.data['expires_after[seconds]'] ?? null,
  };
}

const MAX_NAME_CHARACTERS = 255;

/** The last part of a path, without what could end a line or a header. */
function cleanName(name: string): string {
  const last = name.split(/[\\/]/).at(-1) ?? '';
  const clean = last.replace(/\p{C}/gu, '').toWellFormed().slice(0, MAX_NAME_CHARACTERS);
  return clean === '' ? 'file' : clean;
}

function addList(app: ApiApp, { files }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/files',
      access: 'batches',
      summary: 'List files',
      tags: TAGS,
      request: { query: ListQuery },
      answers: { 200: json('A page of files.', FileList) },
      errors: ['invalid_request', ...REDIS_ERRORS],
    },
    async (c) => {
      const { after = null, limit, purpose = null, order } = parseQuery(c, ListQuery);
      const tenant = tenantOf(c);
      const options = { tenant, order, after, purpose, limit: Math.min(limit, MAX_PAGE) };
      const { files: data, hasMore, lastId } = await files.list(options);
      return answerJson(c, {
        object: 'list',
        data,
        has_more: hasMore,
        first_id: data[0]?.id ?? null,
        last_id: lastId,
      });
    },
  );
}

function addReadAndDelete(app: ApiApp, { files }: AppDeps): void {
  const route = { path: '/v1/files/{id}', tags: TAGS, request: { params: FileParams } };
  addRoute(
    app,
    {
      ...route,
      method: 'get',
      access: 'batches',
      summary: 'A file, without its content',
      answers: { 200: json('The file.', FileSchema) },
      errors: ['invalid_request', 'not_found', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      return answerJson(c, await files.get(tenantOf(c), c.req.param('id') ?? ''));
    },
  );
  addRoute(
    app,
    {
      ...route,
      method: 'delete',
      access: 'batches',
      summary: 'Delete a file and its content at once',
      answers: { 200: json('It is gone.', FileDeleted) },
      errors: ['invalid_request', 'not_found', ...REDIS_ERRORS],
    },
    async (c) => {
      expectNoQuery(c);
      const id = c.req.param('id') ?? '';
      await files.remove(tenantOf(c), id);
      return answerJson(c, { id, object: 'file', deleted: true });
    },
  );
}

const Content = z.string().openapi({ type: 'string', format: 'binary' });
const CONTENT = { 'application/octet-stream': { schema: Content } };

function addContent(app: ApiApp, { files }: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/files/{id}/content',
      access: 'batches',
      summary: 'The content of a file, or a range of it',
      tags: TAGS,
      request: {
        params: FileParams,
        headers: z.object({
          range: z.string().optional().describe('`bytes=first-last`, one range.'),
        }),
      },
      answers: {
        200: { description: 'All of it.', content: CONTENT },
        206: { description: 'The range.', content: CONTENT },
      },
      errors: [
        ...(['invalid_request', 'not_found', 'range_not_satisfiable'] as const),
        ...(['storage_unavailable', ...REDIS_ERRORS] as const),
      ],
    },
    async (c) => {
      expectNoQuery(c);
      const file = await files.get(tenantOf(c), c.req.param('id') ?? '');
      const slice = rangeOf(c, file);
      const { start, end } = slice ?? { start: 0, end: file.bytes };
      const content = c.req.method === 'HEAD' ? null : await files.open(file.id, { start, end });
      return answer(c, content === null ? null : Readable.toWeb(content), {
        status: slice === null ? 200 : 206,
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': `${end - start}`,
          'content-disposition': dispositionOf(file.filename),
          'accept-ranges': 'bytes',
          etag: etagOf(file.id),
          ...(slice === null ? {} : { 'content-range': `bytes ${start}-${end - 1}/${file.bytes}` }),
        },
      });
    },
  );
}

/** Content never changes, so the id stands for it. */
function etagOf(id: string): string {
  return `"${id}"`;
}

function rangeOf(c: Context<ApiEnv>, file: { id: string; bytes: number }) {
  const ifRange = c.req.header('if-range');
  if (ifRange !== undefined && ifRange !== etagOf(file.id)) return null;
  return parseRange(c.req.header('range'), file.bytes);
}

/** RFC 6266: a name in ASCII for those that know no other, and the real one. */
function dispositionOf(name: string): string {
  const ascii = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  });
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
