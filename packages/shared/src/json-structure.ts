import { AppError } from './errors.ts';

const MAX_DEPTH = 32;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/**
 * One pass over the text outside its strings: `JSON.parse` recurses, and fields, objects and lists
 * cost far more memory than the characters that make them.
 * @param maxFields most `"name": value` pairs, over all objects; as many objects and lists
 * @throws AppError `invalid_request`
 */
export function checkStructure(json: string, maxFields: number): void {
  let depth = 0;
  let fields = 0;
  let containers = 0;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(json, at);
    } else if (code === COLON) {
      fields++;
      if (fields > maxFields) {
        throw new AppError('invalid_request', { message: `the body has over ${maxFields} fields` });
      }
    } else if (code === 0x5b || code === 0x7b) {
      depth++;
      containers++;
      if (containers > maxFields) {
        throw new AppError('invalid_request', {
          message: `the body has over ${maxFields} objects and lists`,
        });
      }
      if (depth > MAX_DEPTH) {
        throw new AppError('invalid_request', {
          message: `the body is nested deeper than ${MAX_DEPTH} levels`,
        });
      }
    } else if (code === 0x5d || code === 0x7d) {
      depth--;
    }
  }
}

/** Index of the quote that ends the string which starts at `start`; the end of the text if none. */
function endOfString(json: string, start: number): number {
  let at = start;
  for (;;) {
    at = json.indexOf('"', at + 1);
    if (at === -1) return json.length;
    let slashes = 0;
    while (json.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return at;
  }
}
