import type { JobRequest } from '@headrace/client';
import { hasKey } from '../session/session.ts';

const MOST_CHARACTERS = 2_000;

/** The call of the form in three languages; a key is named, never shown. */
export function samplesOf(request: JobRequest): Record<string, string> {
  const body = shortened(request);
  const origin = location.origin;
  return {
    curl: curl(origin, body),
    TypeScript: typescript(origin, body),
    Python: python(origin, body),
  };
}

/** A text that is too long to be read in a sample ends in an ellipsis. */
function shortened(request: JobRequest): JobRequest {
  const { input } = request;
  if (typeof input !== 'string' || input.length <= MOST_CHARACTERS) return request;
  return { ...request, input: `${input.slice(0, MOST_CHARACTERS).toWellFormed()}…` };
}

function curl(origin: string, body: JobRequest): string {
  const json = JSON.stringify(body).replaceAll("'", `'\\''`);
  return [
    `curl -s ${origin}/v1/jobs -H 'content-type: application/json' -H 'Prefer: wait=30'`,
    ...(hasKey() ? ['-H "Authorization: Bearer $HEADRACE_KEY"'] : []),
    `-d '${json}'`,
  ].join(' \\\n  ');
}

function typescript(origin: string, body: JobRequest): string {
  const key = hasKey() ? ', apiKey: process.env.HEADRACE_KEY' : '';
  return `import { createClient } from '@headrace/client';

const client = createClient({ baseUrl: '${origin}'${key} });
const { id } = await client.jobs.submit(${JSON.stringify(body, null, 2)});
console.log((await client.jobs.wait(id)).output);
`;
}

function python(origin: string, body: JobRequest): string {
  const key = hasKey() ? '"Authorization": f"Bearer {os.environ[\'HEADRACE_KEY\']}", ' : '';
  return `import json${hasKey() ? ', os' : ''}, urllib.request

body = json.loads(${JSON.stringify(JSON.stringify(body))})
request = urllib.request.Request(
    "${origin}/v1/jobs",
    data=json.dumps(body).encode(),
    headers={${key}"Content-Type": "application/json", "Prefer": "wait=30"},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)["output"])
`;
}
