import { ConfigError } from '@headrace/shared/env.ts';
import type { ModelFolder } from '@headrace/shared/manifests.ts';
import type { ModelChoice } from './config.ts';

export interface ChosenModel {
  folder: ModelFolder;
  variant: string;
}

/**
 * The models that configuration asks for; null: the newest version of each, in its default variant.
 * @throws ConfigError for a name or version that no folder has
 */
export function chooseModels(folders: ModelFolder[], choices: ModelChoice[] | null): ChosenModel[] {
  const names = [...new Set(folders.map(({ manifest }) => manifest.name))];
  const wanted = choices ?? names.map((name) => ({ name, version: null, variant: null }));
  return wanted.map((choice) => {
    const folder = find(folders, choice);
    if (folder !== null) {
      return { folder, variant: choice.variant ?? folder.manifest.default_variant };
    }
    const version = choice.version === null ? '' : `@${choice.version}`;
    throw new ConfigError(`HEADRACE_MODELS: there is no model ${choice.name}${version}`);
  });
}

function find(folders: ModelFolder[], { name, version }: ModelChoice): ModelFolder | null {
  const newestFirst = folders
    .filter(({ manifest }) => manifest.name === name)
    .sort((a, b) => b.manifest.version.localeCompare(a.manifest.version, 'en', { numeric: true }));
  const exact = newestFirst.find(({ manifest }) => manifest.version === version);
  return (version === null ? newestFirst[0] : exact) ?? null;
}
