import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { EventStream } from '../../src/ui/event-stream.js';

it('EventStream closes the connection of a client that does not read, with bounded memory', async () => {
  let close: (sent: number) => void = () => {};
  const closed = new Promise<number>((resolve) => (close = resolve));
  const server = createServer((_request, response) => {
    let sent = 0;
    const stream = new EventStream(response, () => close(sent));
    const megabyte = 'x'.repeat(2 ** 20);
    const send = () => {
      if (response.destroyed || sent === 200) return;
      stream.send('change', megabyte, String(sent++));
      setImmediate(send);
    };
    send();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.on('error', () => undefined).pause();
  client.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  expect(await closed).toBeLessThan(60);
  client.destroy();
  server.close();
});
