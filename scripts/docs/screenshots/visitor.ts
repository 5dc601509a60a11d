import { readFile } from 'node:fs/promises';
import type { Locator, Page } from 'playwright-core';

/** Somebody with a mouse, whose clicks are counted. */
export interface Visitor {
  readonly clicks: number;
  click(what: Locator): Promise<void>;
  /** Lets a file go over it. */
  drop(file: { name: string; content: string }, onto: Locator): Promise<void>;
  /** Clicks, and reads what is downloaded then. */
  download(what: Locator): Promise<string>;
}

export function visitorOf(page: Page): Visitor {
  const visitor = {
    clicks: 0,
    async click(what: Locator) {
      await what.click();
      visitor.clicks += 1;
    },
    async drop({ name, content }: { name: string; content: string }, onto: Locator) {
      const literals = [content, name].map((text) => JSON.stringify(text));
      const dataTransfer = await page.evaluateHandle(`(() => {
        const files = new DataTransfer();
        files.items.add(new File([${literals[0]}], ${literals[1]}));
        return files;
      })()`);
      await onto.dispatchEvent('drop', { dataTransfer });
    },
    async download(what: Locator) {
      const saved = page.waitForEvent('download');
      await visitor.click(what);
      return readFile(await (await saved).path(), 'utf8');
    },
  };
  return visitor;
}
