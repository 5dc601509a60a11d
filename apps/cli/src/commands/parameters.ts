import { usage } from '../failure.ts';

/** Adds `key=value` to the parameters; a value that is JSON is taken as such, else as text. */
export function addParameter(
  pair: string,
  before: Record<string, unknown> = {},
): Record<string, unknown> {
  const at = pair.indexOf('=');
  if (at < 1) throw usage(`--param ${pair}: must be key=value, such as top_k=3`);
  return { ...before, [pair.slice(0, at)]: parameterOf(pair.slice(at + 1)) };
}

function parameterOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
