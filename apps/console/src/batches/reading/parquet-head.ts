import { parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';

/** Columns and first rows of a Parquet file; only the parts that hold them are read. */
export async function parquetHead(
  blob: Blob,
  most: number,
): Promise<{ columns: string[]; rows: unknown[][] }> {
  const file = {
    byteLength: blob.size,
    slice: (start: number, end?: number) => blob.slice(start, end).arrayBuffer(),
  };
  const metadata = await parquetMetadataAsync(file);
  const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
  try {
    const objects = await parquetReadObjects({ file, metadata, rowStart: 0, rowEnd: most });
    return { columns, rows: objects.map((object) => columns.map((name) => object[name])) };
  } catch {
    // Packed in a way that is not known here; the server knows it.
    return { columns, rows: [] };
  }
}
