import { parser } from '@prometheus-io/lezer-promql';

type Operator = '=' | '!=' | '=~' | '!~';

interface Matcher {
  label: string;
  operator: Operator;
  value: string;
}

export interface Selector {
  metric: string;
  matchers: Matcher[];
  /** A range of time is asked for, as `rate` and `increase` do. */
  ranged: boolean;
}

/** What a query asks for. */
export interface Query {
  /** Each series that it selects. */
  selectors: Selector[];
  /** Labels that it groups or joins by. */
  grouping: string[];
  /** Labels that it makes itself, by `label_replace`. */
  made: string[];
}

type Node = ReturnType<typeof parser.parse>['topNode'];

/** @throws Error with the place when it is no PromQL */
export function readPromql(text: string): Query {
  const query: Query = { selectors: [], grouping: [], made: [] };
  const tree = parser.parse(text);
  tree.iterate({
    enter({ name, from, to, type, node }) {
      const source = text.slice(from, to);
      if (type.isError) throw new Error(`no PromQL at ${from}: ${text.slice(from, from + 40)}`);
      if (name === 'VectorSelector') query.selectors.push(readSelector(node, text));
      if (name === 'LabelName' && node.parent?.name === 'GroupingLabels') {
        query.grouping.push(source);
      }
      if (name === 'FunctionCall' && source.startsWith('label_replace')) {
        const [target] = node.getChild('FunctionCallBody')?.getChildren('StringLiteral') ?? [];
        if (target) query.made.push(text.slice(target.from + 1, target.to - 1));
      }
    },
  });
  return query;
}

/** Whether Prometheus would select a series; a label that it lacks is empty. */
export function selects(matchers: readonly Matcher[], labels: ReadonlyMap<string, string>) {
  return matchers.every(({ label, operator, value }) => {
    const actual = labels.get(label) ?? '';
    const same = operator.endsWith('~')
      ? new RegExp(`^(?:${value})$`).test(actual)
      : actual === value;
    return operator.startsWith('!') ? !same : same;
  });
}

function readSelector(node: Node, text: string): Selector {
  const textOf = (of: Node, name: string) => {
    const child = of.getChild(name);
    return child ? text.slice(child.from, child.to) : '';
  };
  const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
  return {
    metric: textOf(node, 'Identifier'),
    matchers: matchers.map((matcher) => ({
      label: textOf(matcher, 'LabelName'),
      operator: readOperator(textOf(matcher, 'MatchOp')),
      value: String(JSON.parse(textOf(matcher, 'StringLiteral'))),
    })),
    ranged: node.parent?.name === 'MatrixSelector',
  };
}

function readOperator(text: string): Operator {
  const known = (['=', '!=', '=~', '!~'] as const).find((operator) => operator === text);
  if (known === undefined) throw new Error(`no operator of a matcher: ${text}`);
  return known;
}
