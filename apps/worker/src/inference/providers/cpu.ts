import { commonOptions, type Provider } from './provider.ts';

export const cpu: Provider = {
  name: 'cpu',
  environment: {},
  sessionOptions: (settings) => ({
    ...commonOptions(settings),
    executionProviders: ['cpu'],
    enableCpuMemArena: true,
  }),
};
