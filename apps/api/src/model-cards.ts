import { buffer } from 'node:stream/consumers';
import { fileInput } from '@headrace/shared/inputs/file-input.ts';
import type { Logger } from '@headrace/shared/logger.ts';
import { type ModelFolder, modelRef } from '@headrace/shared/manifests.ts';

/** The card of each model that has one, by `name@version`. */
export type ModelCards = ReadonlyMap<string, string>;

const CARD = 'README.md';
const MOST_BYTES = 64 * 1024;
const NOTE = `\n\n*The card goes on: only its first ${MOST_BYTES / 1024} KiB are shown.*\n`;

/** Reads the cards once, as manifests are. A card that cannot be read keeps no model from work. */
export async function readModelCards(folders: ModelFolder[], log: Logger): Promise<ModelCards> {
  const cards = new Map<string, string>();
  for (const { dir, manifest } of folders) {
    try {
      const card = await readCard(dir);
      if (card !== null) cards.set(modelRef(manifest), card);
    } catch (err) {
      log.warn({ event: 'api.card_unread', model: modelRef(manifest), err }, 'no card of a model');
    }
  }
  return cards;
}

/** @returns null when there is none in the folder: none at all, or a link that leads out of it */
async function readCard(dir: string): Promise<string | null> {
  const file = fileInput({ root: dir, segments: [CARD], version: null });
  const info = await file.stat();
  if (info === null) return null;
  const bytes = await buffer(await file.read({ start: 0, end: MOST_BYTES }));
  const isCut = info.sizeBytes > MOST_BYTES;
  // As a stream's: a character that is cut is left out.
  const text = new TextDecoder().decode(bytes, { stream: isCut });
  return isCut ? text + NOTE : text;
}
