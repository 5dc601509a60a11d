import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { startCli } from './cli.ts';
import { words } from './document.ts';

interface ReaderOptions {
  /** The API that the commands are meant for. */
  url: string;
  /** Host and port of what listens where the documents have a receiver of webhooks. */
  receiver: string;
  /** Where it works. */
  folder: string;
}

interface Typed {
  /** The request was not refused; the command did its work. */
  ok: boolean;
  output: string;
}

const EXIT_SOME_ROWS_FAILED = 3;

/** Does what a document says: `curl`, `npx headrace` and `cat`, with the ids that it has seen. */
export class Reader {
  readonly #options: ReaderOptions;
  /** The last id of each kind. */
  readonly #ids = new Map<string, string>();

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  async type(command: string): Promise<Typed> {
    const known = command
      .replaceAll(/\b([a-z]+[_-])…/g, (all, kind: string) => this.#ids.get(kind) ?? all)
      .replaceAll('http://127.0.0.1:8000', this.#options.url)
      .replaceAll('127.0.0.1:9000', this.#options.receiver);
    const typed = await this.#run(words(known));
    for (const [id, kind = ''] of typed.output.matchAll(
      /\b([a-z]+[_-])[0-9a-hjkmnp-tv-z]{26}\b/g,
    )) {
      this.#ids.set(kind, id);
    }
    return typed;
  }

  #run([program = '', ...args]: string[]): Promise<Typed> {
    if (program === 'curl') return curl(args, this.#options.folder);
    if (program === 'npx') return this.#headrace(args.slice(1));
    if (program !== 'cat') throw new Error(`no test knows ${program}`);
    const texts = args.map((file) => readFileSync(join(this.#options.folder, file), 'utf8'));
    return Promise.resolve({ ok: true, output: texts.join('') });
  }

  async #headrace(args: string[]): Promise<Typed> {
    const { folder: cwd, url } = this.#options;
    const cli = startCli(args, { cwd, env: { HEADRACE_URL: url } });
    const code = await cli.exitCode;
    const ok = code === 0 || code === EXIT_SOME_ROWS_FAILED;
    return { ok, output: cli.stdout() + cli.stderr() };
  }
}

/** `curl` with the options that the documents use. */
async function curl(args: string[], folder: string): Promise<Typed> {
  let url = '';
  const init: RequestInit = {};
  const headers: [string, string][] = [];
  const form = new FormData();
  const rest = args.values();
  for (const arg of rest) {
    if (arg === '-s') continue;
    if (!arg.startsWith('-')) {
      url = arg;
      continue;
    }
    const value = rest.next().value ?? '';
    const [name = '', ...more] = value.split(arg === '-F' ? '=' : ': ');
    if (arg === '-X') init.method = value;
    else if (arg === '-d') init.body = value;
    else if (arg === '-H') headers.push([name, more.join(': ')]);
    else if (arg !== '-F') throw new Error(`no test knows curl ${arg}`);
    else if (value.includes('=@'))
      form.append(name, ...file(join(folder, more.join('=').slice(1))));
    else form.append(name, more.join('='));
  }
  if ([...form.keys()].length > 0) init.body = form;
  const method = init.method ?? (init.body == null ? 'GET' : 'POST');
  const response = await fetch(url, { ...init, method, headers });
  return { ok: response.ok, output: await response.text() };
}

function file(path: string): [Blob, string] {
  return [new Blob([readFileSync(path)]), basename(path)];
}
