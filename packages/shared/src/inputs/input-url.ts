import { AppError } from '../errors.ts';

/** Where an input is that is not one of our files. */
export type InputUrl =
  | { scheme: 'file'; segments: string[] }
  | { scheme: 's3'; bucket: string; key: string };

const URL_PARTS = /^(file|s3):\/\/([^/]*)\/(.+)$/s;
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const MAX_BYTES = 2_048;

/**
 * Takes a URL apart, and refuses whatever could mean another place than it seems to: dots, encoded
 * or not, double slashes, backslashes, control characters, hosts, ports, credentials and queries.
 * @throws AppError `invalid_request`, which never repeats the URL
 */
export function parseInputUrl(url: string): InputUrl {
  const [, scheme, host = '', path = ''] = URL_PARTS.exec(url) ?? [];
  if (scheme === undefined) throw refuseUrl('must be s3://bucket/key or file:///path');
  if (Buffer.byteLength(url) > MAX_BYTES) throw refuseUrl(`has more than ${MAX_BYTES} bytes`);
  if (/[?#]/.test(path)) throw refuseUrl('must have no query; %3F and %23 stand for ? and #');
  const segments = path.split('/').map(decoded);
  if (scheme === 'file') {
    if (host !== '') throw refuseUrl('must have no host: file:/// and the path');
    return { scheme, segments };
  }
  if (!BUCKET.test(host)) throw refuseUrl('must name a bucket, and nothing else before the key');
  return { scheme: 's3', bucket: host, key: segments.join('/') };
}

function decoded(segment: string): string {
  const name = decode(segment);
  // Once more, for whoever on the way to the store decodes twice.
  const twice = decode(name, name);
  const isDots = [name, twice].some((text) => text === '' || text === '.' || text === '..');
  if (isDots || /[\p{Cc}/\\]/u.test(name) || /[\0/\\]/.test(twice)) {
    throw refuseUrl('must be a plain path, with nothing that leads elsewhere');
  }
  return name;
}

/** @param otherwise what stands for a text that is not encoded; without it, that is refused */
function decode(text: string, otherwise?: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    if (otherwise !== undefined) return otherwise;
    throw refuseUrl('has a % that begins no character; %25 stands for it');
  }
}

export function refuseUrl(problem: string): AppError {
  const param = 'input_url';
  return new AppError('invalid_request', { message: `${param}: ${problem}`, param });
}
