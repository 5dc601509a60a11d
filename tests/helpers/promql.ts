import { parser } from '@prometheus-io/lezer-promql';

/** What a query asks for. */
export interface Query {
  /** Each series that it selects, and the labels by which. */
  selectors: { metric: string; labels: string[] }[];
  /** Labels that it groups or joins by. */
  grouping: string[];
  /** Labels that it makes itself, by `label_replace`. */
  made: string[];
}

/** @throws Error with the place when it is no PromQL */
export function readPromql(text: string): Query {
  const query: Query = { selectors: [], grouping: [], made: [] };
  const tree = parser.parse(text);
  tree.iterate({
    enter({ name, from, to, type, node }) {
      const source = text.slice(from, to);
      if (type.isError) throw new Error(`no PromQL at ${from}: ${text.slice(from, from + 40)}`);
      if (name === 'VectorSelector') {
        const metric = node.getChild('Identifier');
        const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
        const labels = matchers.map((matcher) => matcher.getChild('LabelName'));
        const textOf = (part: typeof metric) => (part ? text.slice(part.from, part.to) : '');
        query.selectors.push({ metric: textOf(metric), labels: labels.map(textOf) });
      }
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
