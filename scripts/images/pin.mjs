import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const USAGE = `usage: node scripts/images/pin.mjs [--check] [--registry URL] [--auth URL]

Writes behind each image's tag the digest that the registry names for it. --check changes nothing and
exits 1 where a digest is missing or another.`;
const FILES = ['Dockerfile', 'docker-compose.yml', 'k8s/base/redis.yaml'];
const IMAGE = /(?<=[=\s])(docker\.io\/[a-z0-9/._-]+):([\w.-]+)(@sha256:[0-9a-f]{64})?/g;
const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ');
const TIMEOUT_MS = 20_000;

const { check, registry, auth } = options();
/** @type {Map<string, string>} */
const digests = new Map();
let wrong = 0;
for (const file of FILES) {
  const text = readFileSync(file, 'utf8');
  for (const [, name = '', tag = '', pinned = ''] of text.matchAll(IMAGE)) {
    const image = `${name}:${tag}`;
    const digest = digests.get(image) ?? (await digestOf(name, tag));
    digests.set(image, digest);
    if (pinned === `@${digest}`) continue;
    wrong += 1;
    console.log(`${file}: ${image} is ${digest}${pinned ? `, not ${pinned.slice(1)}` : ''}`);
  }
  const now = text.replace(IMAGE, (_all, name, tag) => {
    return `${name}:${tag}@${digests.get(`${name}:${tag}`)}`;
  });
  if (!check) writeFileSync(file, now);
}
process.exitCode = check && wrong > 0 ? 1 : 0;

/**
 * Of the index of all platforms, as Docker Hub names it.
 * @param {string} name
 * @param {string} tag
 * @returns {Promise<string>}
 */
async function digestOf(name, tag) {
  const repository = name.replace('docker.io/', '');
  const scope = `repository:${repository}:pull`;
  const answer = await get(`${auth}/token?service=registry.docker.io&scope=${scope}`);
  const { token } = /** @type {{ token: string }} */ (await answer.json());
  const url = `${registry}/v2/${repository}/manifests/${tag}`;
  const headers = { accept: ACCEPT, authorization: `Bearer ${token}` };
  const digest = (await get(url, headers)).headers.get('docker-content-digest') ?? '';
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`${url} names no digest`);
  return digest;
}

/**
 * @param {string} url
 * @param {Record<string, string>} [headers]
 */
async function get(url, headers = {}) {
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return response;
}

function options() {
  try {
    return parseArgs({
      options: {
        check: { type: 'boolean', default: false },
        registry: { type: 'string', default: 'https://registry-1.docker.io' },
        auth: { type: 'string', default: 'https://auth.docker.io' },
      },
    }).values;
  } catch {
    console.error(USAGE);
    process.exit(2);
  }
}
