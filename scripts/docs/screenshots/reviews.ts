import { seededRandom } from '../../../tests/helpers/engines.ts';

const SEED = 7;

const PRODUCTS = [
  ...['kettle', 'rain jacket', 'desk lamp', 'backpack', 'coffee grinder', 'office chair'],
  ...['headphones', 'air fryer', 'yoga mat', 'water bottle', 'keyboard', 'bicycle light'],
];

/** What customers say of it: how many of a hundred, how they begin and how they go on. */
const MOODS = [
  {
    share: 54,
    openings: [
      'Absolutely love this {product}.',
      'Best {product} I have owned so far.',
      'Bought this {product} for my sister and she is delighted.',
      'Really happy with the {product}, it does exactly what it promises.',
      'Third {product} from this shop, and again a great one.',
    ],
    details: [
      'It feels solid and looks even better than in the pictures.',
      'Delivery took two days, nicely packed.',
      'I use it every single morning and it still looks like new.',
      'Worth every cent, I would buy it again.',
      'Setting it up was easy, even without the manual.',
      'Customer service answered my question within an hour, very friendly.',
    ],
  },
  {
    share: 19,
    openings: [
      'The {product} arrived on Tuesday.',
      'This is the {product} in grey, size medium.',
      'I ordered the {product} together with a spare part.',
      'The {product} comes with a cable and a short manual.',
    ],
    details: [
      'The box says it was made in spring.',
      'I have not used it yet.',
      'It weighs about as much as the one before.',
      'The colour is the one in the third picture.',
    ],
  },
  {
    share: 27,
    openings: [
      'The {product} broke after one week.',
      'Very disappointed with this {product}.',
      'The {product} was scratched when I opened the box, and it came late.',
      'I would not recommend this {product} to anyone.',
    ],
    details: [
      'It smells of cheap plastic and the switch is loose.',
      'Nobody answers my emails about the refund.',
      'The description is simply wrong, it does not fit.',
      'It is far too loud, and the light flickers all the time.',
      'A waste of money, sadly.',
    ],
  },
];

export interface Review {
  id: string;
  product: string;
  text: string;
}

/** Made-up reviews, the same in every run. */
export function makeReviews(rows: number): Review[] {
  const random = seededRandom(SEED);
  const pick = <T>(list: readonly T[]): T => {
    const picked = list[Math.floor(random() * list.length)];
    if (picked === undefined) throw new Error('nothing to pick from');
    return picked;
  };
  const moods = MOODS.flatMap((mood) => Array<(typeof MOODS)[number]>(mood.share).fill(mood));
  return Array.from({ length: rows }, (_, i) => {
    const product = pick(PRODUCTS);
    const { openings, details } = pick(moods);
    const said = Array.from({ length: Math.floor(random() * 3) }, () => pick(details));
    const text = [pick(openings).replace('{product}', product), ...new Set(said)].join(' ');
    return { id: `R-${i + 10_001}`, product, text };
  });
}
