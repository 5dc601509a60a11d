/** Values by the names of triggers. */
type Values = Readonly<Record<string, number>>;

const TOKENS = /\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|([-+*/(),]))/y;
const FUNCTIONS: Readonly<Record<string, (...numbers: number[]) => number>> = {
  max: Math.max,
  min: Math.min,
};

/**
 * Evaluates a formula of `scalingModifiers`: numbers, names of triggers, + - * /, parentheses, max and
 * min. That is what ours use of the language that KEDA takes (https://expr-lang.org).
 * @throws SyntaxError for anything else, RangeError for a name without a value
 */
export function evaluateFormula(formula: string, values: Values): number {
  const tokens = tokensOf(formula);
  let at = 0;
  const next = () => tokens[at];
  const take = (token: string) => {
    if (tokens[at] !== token) throw new SyntaxError(`${token} is missing in: ${formula}`);
    at += 1;
  };

  function sum(): number {
    let value = product();
    while (next() === '+' || next() === '-') {
      const sign = tokens[at++] === '+' ? 1 : -1;
      value += sign * product();
    }
    return value;
  }

  function product(): number {
    let value = operand();
    while (next() === '*' || next() === '/') {
      const times = tokens[at++] === '*';
      const factor = operand();
      value = times ? value * factor : value / factor;
    }
    return value;
  }

  function operand(): number {
    const token = tokens[at++] ?? '';
    if (token === '-') return -operand();
    if (token === '(') {
      const value = sum();
      take(')');
      return value;
    }
    if (/^\d/.test(token)) return Number(token);
    if (next() === '(') return call(token);
    const value = Object.hasOwn(values, token) ? values[token] : undefined;
    if (value === undefined) throw new RangeError(`${token} has no value in: ${formula}`);
    return value;
  }

  function call(name: string): number {
    const called = FUNCTIONS[name];
    if (called === undefined) throw new SyntaxError(`${name}() is unknown in: ${formula}`);
    take('(');
    const numbers = [sum()];
    while (next() === ',') {
      at += 1;
      numbers.push(sum());
    }
    take(')');
    return called(...numbers);
  }

  const value = sum();
  if (at < tokens.length) throw new SyntaxError(`${next()} is too much in: ${formula}`);
  return value;
}

function tokensOf(formula: string): string[] {
  const text = formula.trim();
  const tokens: string[] = [];
  TOKENS.lastIndex = 0;
  while (TOKENS.lastIndex < text.length) {
    const from = TOKENS.lastIndex;
    const found = TOKENS.exec(text);
    if (found === null) throw new SyntaxError(`${text.slice(from)} is not understood`);
    tokens.push(found[0].trim());
  }
  return tokens;
}
