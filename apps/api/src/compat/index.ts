import type { AppDeps } from '../app.ts';
import type { ApiApp } from '../routes/add-route.ts';
import { addOpenAiEmbeddings } from './openai-embeddings.ts';

/** The surfaces of other systems' APIs, each over `submit`. */
export function addCompatRoutes(app: ApiApp, deps: AppDeps): void {
  addOpenAiEmbeddings(app, deps);
}
