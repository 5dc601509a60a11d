import { createClient } from '@headrace/client';

const client = createClient({ baseUrl: process.env.HEADRACE_URL ?? 'http://127.0.0.1:8000' });
const { id } = await client.jobs.submit({ model: 'sentiment', input: 'Lovely.' });
const { output } = await client.jobs.wait(id);
console.log(output[0].labels[0]);
