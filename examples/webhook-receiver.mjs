import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { verifyWebhook } from '@headrace/client';

const secret = process.env.WEBHOOK_SECRET;
const server = createServer(async (request, response) => {
  try {
    const event = await verifyWebhook(await text(request), request.headers, { secret });
    console.log(event.type, event.data.id);
    response.writeHead(204).end();
  } catch (error) {
    response.writeHead(400).end(error.message);
  }
});
server.listen(process.env.PORT ?? 9000, '127.0.0.1', () => {
  console.log('port', server.address().port);
});
