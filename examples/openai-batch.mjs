import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI, { toFile } from 'openai';

const url = process.env.HEADRACE_URL ?? 'http://127.0.0.1:8000';
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });

const reviews = ['The battery lasts two days, which is great.', 'It broke after a week.', ''];
const lines = reviews.map((input, i) => {
  const request = { method: 'POST', url: '/v1/jobs', body: { model: 'sentiment', input } };
  return JSON.stringify({ custom_id: `review-${i + 1}`, ...request });
});

const file = await client.files.create({
  file: await toFile(Buffer.from(lines.join('\n')), 'reviews.jsonl'),
  purpose: 'batch',
});
let batch = await client.batches.create({
  input_file_id: file.id,
  endpoint: '/v1/jobs',
  completion_window: '24h',
});
while (['validating', 'in_progress', 'finalizing'].includes(batch.status)) {
  await sleep(200);
  batch = await client.batches.retrieve(batch.id);
}

const { total, completed, failed } = batch.request_counts;
console.log(`${batch.status}: ${total} rows, ${completed} answered, ${failed} failed`);
for (const id of [batch.output_file_id, batch.error_file_id]) {
  const content = await (await client.files.content(id)).text();
  for (const line of content.trim().split('\n')) {
    const { custom_id, response } = JSON.parse(line);
    const { output, error } = response.body;
    console.log(custom_id, error?.message ?? output[0].labels[0]);
  }
}
