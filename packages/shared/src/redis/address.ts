import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { RedisOptions } from 'ioredis';
import type { Place } from './cluster-route.ts';

/** Without what the types of ioredis take only where it is not undefined. */
type ServerOptions = Omit<RedisOptions, 'replyMapping'>;

/** Where Redis is, and how to get in, as REDIS_URL says it. */
export interface RedisAddress {
  /** For one server, found through Sentinel or not. */
  options: ServerOptions;
  /** Nodes of a cluster that are asked first; null: there is none. */
  cluster: [Place, ...Place[]] | null;
  tls: ConnectionOptions | undefined;
}

const URL_PARTS =
  /^(rediss?)(?:-(sentinel|cluster))?:\/\/(?:(.*)@)?([^@/?]+)(?:\/([^?]*))?(?:\?(.*))?$/;
const PLACE = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/;
const MASTER_NAME = /^[A-Za-z0-9._-]+$/;
const TLS_FILES = ['ca', 'cert', 'key'] as const;
const SENTINEL_SETTINGS = ['sentinel_username', 'sentinel_password'];
const PORTS = { server: 6379, sentinel: 26379 };

/** What is wrong with a value of REDIS_URL; null if nothing is. Never repeats a part of it. */
export function redisUrlProblem(url: string): string | null {
  try {
    parseRedisUrl(url);
    return null;
  } catch (error) {
    if (error instanceof RedisUrlError) return error.message;
    throw error;
  }
}

/** @throws RedisUrlError */
export function parseRedisUrl(url: string): RedisAddress {
  if (url.startsWith('unix://')) {
    return { options: { path: url.slice('unix://'.length) }, cluster: null, tls: undefined };
  }
  const [, scheme, kind, login, hosts = '', path = '', query = ''] = URL_PARTS.exec(url) ?? [];
  if (scheme === undefined) {
    throw new RedisUrlError(
      'must be redis://, rediss://, unix:///path, or redis(s)-sentinel:// or redis(s)-cluster://',
    );
  }
  const settings = settingsOf(query, { secure: scheme === 'rediss', kind });
  const tls = tlsOf(scheme, settings);
  const auth = loginOf(login);
  const secured = tls === undefined ? {} : { tls };
  if (kind === 'sentinel') {
    const sentinel = sentinelOf({ hosts, path, settings, tls });
    return { options: { ...auth, ...secured, ...sentinel }, cluster: null, tls };
  }
  const [first, ...others] = placesOf(hosts, PORTS.server);
  if (first === undefined) throw new RedisUrlError('must name a host');
  if (kind === 'cluster') {
    if (path !== '') throw new RedisUrlError('must have no database: a cluster has one only');
    return { options: { ...auth, ...secured }, cluster: [first, ...others], tls };
  }
  if (others.length > 0) throw new RedisUrlError('must name one host; several need -cluster');
  return { options: { ...auth, ...secured, ...first, db: databaseOf(path) }, cluster: null, tls };
}

class RedisUrlError extends Error {}

interface Sentinels {
  hosts: string;
  path: string;
  settings: Map<string, string>;
  tls: ConnectionOptions | undefined;
}

/** `host:port,…/name of the master`; TLS is for Sentinels and servers alike. */
function sentinelOf({ hosts, path, settings, tls }: Sentinels): ServerOptions {
  if (!MASTER_NAME.test(path)) {
    throw new RedisUrlError('must end with the name of the master, such as /mymaster');
  }
  const username = settings.get('sentinel_username');
  const password = settings.get('sentinel_password');
  return {
    sentinels: placesOf(hosts, PORTS.sentinel),
    name: path,
    ...(username === undefined ? {} : { sentinelUsername: username }),
    ...(password === undefined ? {} : { sentinelPassword: password }),
    ...(tls === undefined ? {} : { sentinelTLS: tls, enableTLSForSentinelMode: true }),
  };
}

function placesOf(hosts: string, port: number): Place[] {
  return hosts.split(',').map((text) => {
    const [, host, given] = PLACE.exec(text) ?? [];
    const place = { host: host?.replace(/^\[|\]$/g, '') ?? '', port: Number(given ?? port) };
    if (place.host === '' || place.port < 1 || place.port > 65_535) {
      throw new RedisUrlError('must name hosts as host:port, separated by commas');
    }
    return place;
  });
}

function loginOf(login: string | undefined): Pick<RedisOptions, 'username' | 'password'> {
  if (login === undefined) return {};
  const [username = '', ...password] = login.split(':');
  const decoded = { username: decode(username), password: decode(password.join(':')) };
  return decoded.username === '' ? { password: decoded.password } : decoded;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RedisUrlError('must have its user and password percent-encoded');
  }
}

function databaseOf(path: string): number {
  if (!/^\d{0,5}$/.test(path)) throw new RedisUrlError('must name its database by a number');
  return Number(path);
}

function settingsOf(
  query: string,
  { secure, kind }: { secure: boolean; kind: string | undefined },
): Map<string, string> {
  const known = [...(secure ? TLS_FILES : []), ...(kind === 'sentinel' ? SENTINEL_SETTINGS : [])];
  const settings = new Map(new URLSearchParams(query));
  for (const name of settings.keys()) {
    if (known.includes(name)) continue;
    const list = known.length === 0 ? 'none' : known.join(', ');
    throw new RedisUrlError(`has a setting that is not known here; there are: ${list}`);
  }
  return settings;
}

/** Verified whatever the environment says; `cert` and `key` where the server asks for them. */
function tlsOf(scheme: string, settings: Map<string, string>): ConnectionOptions | undefined {
  if (scheme !== 'rediss') return undefined;
  const tls: ConnectionOptions = { rejectUnauthorized: true };
  for (const name of TLS_FILES) {
    const file = settings.get(name);
    if (file !== undefined) tls[name] = readTlsFile(name, file);
  }
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    throw new RedisUrlError('must have both cert and key, or neither');
  }
  return tls;
}

function readTlsFile(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new RedisUrlError(`names a file for ${name} that cannot be read`);
  }
}
