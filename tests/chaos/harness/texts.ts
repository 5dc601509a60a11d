import { seededRandom } from '../../helpers/engines.ts';

const WORDS = 'the delivery was late but this product is good and we love the service'.split(' ');

/** Endless texts of 2 to 40 words that the tiny tokenizers know, the same in every run. */
export function createTexts(seed: number): () => string {
  const random = seededRandom(seed);
  return () => {
    const length = 2 + Math.floor(random() ** 2 * 39);
    const pick = () => WORDS[Math.floor(random() * WORDS.length)];
    return Array.from({ length }, pick).join(' ');
  };
}

/** `count` different whole numbers below `below`, spread by chance. */
export function pickPlaces(count: number, below: number, seed: number): Set<number> {
  const random = seededRandom(seed);
  const places = new Set<number>();
  while (places.size < Math.min(count, below)) places.add(Math.floor(random() * below));
  return places;
}
