import { rounded } from '../harness/figures.ts';
import { type ChaosRow, judge } from '../harness/row.ts';
import { measureTokenizerWorstCase } from './tokenizer-worst-case.ts';

const RATIO_GOAL = 2.3;

export const tokenizerWorstCase: ChaosRow = {
  row: 21,
  title: 'worst-case texts for the tokenizer',
  goal: 'time(2n)/time(n) ≤ 2.3; the cap applies first',
  plainBullmq: '–',
  headline: ['worst_ratio', 'cap_first'],
  async run() {
    const { ratio, text, msPer1024, capFirst } = await measureTokenizerWorstCase();
    return {
      figures: {
        worst_ratio: rounded(ratio, 2),
        worst_text: text,
        dearest_ms_per_1024_characters: rounded(msPer1024, 2),
        cap_first: capFirst ? 'yes' : 'no',
      },
      ...judge(
        { 'the cap applies first': capFirst },
        { 'time(2n)/time(n) ≤ 2.3': ratio <= RATIO_GOAL },
      ),
    };
  },
};
