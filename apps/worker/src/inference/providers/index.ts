import { cpu } from './cpu.ts';
import { cuda } from './cuda.ts';
import type { Provider } from './provider.ts';

/** Every execution provider, by the name that configuration uses. */
export const PROVIDERS = { cpu, cuda } as const satisfies Record<string, Provider>;

export type ProviderName = keyof typeof PROVIDERS;

export function isProviderName(value: string): value is ProviderName {
  return Object.hasOwn(PROVIDERS, value);
}
