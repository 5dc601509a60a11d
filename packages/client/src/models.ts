import type { Model, ModelDetails } from './api-types.ts';
import type { CallOptions, Transport } from './transport.ts';

export function createModels(transport: Transport) {
  return {
    async list(call: CallOptions = {}): Promise<Model[]> {
      const path = '/v1/models';
      const { data } = await transport.json<{ object: 'list'; data: Model[] }>({ ...call, path });
      return data;
    },

    /** @param name `name` or `name@version` */
    get(name: string, call: CallOptions = {}): Promise<ModelDetails> {
      return transport.json({ ...call, path: `/v1/models/${encodeURIComponent(name)}` });
    },
  };
}
