import type { z } from 'zod';
import { AppError } from './errors.ts';

/** Field names come from the caller and may be of any length. */
const MAX_PARAM_CHARACTERS = 128;

/** The first problem of a request as the error of the contract. */
export function invalidRequest(error: z.ZodError, prefix: string[] = []): AppError {
  const issue = deepestIssue(error.issues);
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  const param = paramOf([...prefix, ...(issue?.path ?? []), ...unknown].map(String));
  const problem = unknown.length > 0 ? 'is not a known field' : (issue?.message ?? 'is not valid');
  return new AppError('invalid_request', { message: `${param ?? 'body'}: ${problem}`, param });
}

/** `['input', '3', 'text']` as `input[3].text`; null for the request as a whole. */
function paramOf(path: string[]): string | null {
  const [first, ...rest] = path;
  if (first === undefined) return null;
  const param = rest.reduce(
    (at, part) => (/^\d+$/.test(part) ? `${at}[${part}]` : `${at}.${part}`),
    first,
  );
  return param.slice(0, MAX_PARAM_CHARACTERS);
}

/** Of a union, the branch that came furthest tells the caller most. */
function deepestIssue(issues: z.core.$ZodIssue[]): z.core.$ZodIssue | undefined {
  const [issue] = issues;
  if (issue?.code !== 'invalid_union') return issue;
  const branches = issue.errors
    .map((branch) => deepestIssue(branch))
    .filter((i) => i !== undefined);
  const deepest = branches.sort((a, b) => b.path.length - a.path.length)[0];
  return deepest && deepest.path.length > 0
    ? { ...deepest, path: [...issue.path, ...deepest.path] }
    : issue;
}
