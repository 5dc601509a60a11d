import { z } from 'zod';

/** One operation of the OpenAPI document, as far as requests are made from it. */
export interface Operation {
  /** `GET` */
  method: string;
  /** `/v1/jobs/{id}` */
  path: string;
  /** Scope that a key needs; null: none in particular. */
  scope: string | null;
  parameters: Parameter[];
  body: { type: string; schema: Schema } | null;
}

interface Parameter {
  name: string;
  in: string;
  required: boolean;
  schema: Schema;
}

/** A JSON schema, read as far as one goes into it. */
export type Schema = Record<string, unknown>;

const SchemaObject = z.record(z.string(), z.unknown());
const OperationObject = z.looseObject({
  security: z.array(z.record(z.string(), z.array(z.string()))).default([]),
  parameters: z
    .array(
      z.looseObject({
        name: z.string(),
        in: z.string(),
        required: z.boolean().default(false),
        schema: SchemaObject,
      }),
    )
    .default([]),
  requestBody: z
    .looseObject({ content: z.record(z.string(), z.looseObject({ schema: SchemaObject })) })
    .optional(),
});
const DocumentObject = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), OperationObject)),
  components: z.looseObject({ schemas: z.record(z.string(), SchemaObject) }),
});

export interface ApiDocument {
  operations: Operation[];
  /** The schema itself, where one only refers to it. */
  resolve(schema: Schema): Schema;
}

/** @param document as `/openapi.json` gives it */
export function readApiDocument(document: unknown): ApiDocument {
  const { paths, components } = DocumentObject.parse(document);
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { security, parameters, requestBody }]) => {
      const [type, media] = Object.entries(requestBody?.content ?? {})[0] ?? [];
      return {
        ...{ method: method.toUpperCase(), path, parameters },
        scope: Object.values(security[0] ?? {})[0]?.[0] ?? null,
        body: type === undefined || media === undefined ? null : { type, schema: media.schema },
      };
    }),
  );
  return {
    operations,
    resolve(schema) {
      const name = /^#\/components\/schemas\/(.+)$/.exec(String(schema.$ref))?.[1];
      return name === undefined ? schema : (components.schemas[name] ?? {});
    },
  };
}
