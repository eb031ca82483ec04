import { createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { whyNotOpened } from "../../transports/rabbitmq/open-refusal.js";
import { resolveOptions } from "../../transports/rabbitmq/options.js";

test("a server that sends a byte now and then does not hold up the question why it refused", async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const drip = setInterval(() => socket.write("\0"), 20);
    socket.on("error", () => {}).on("close", () => clearInterval(drip));
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
  const options = resolveOptions({ url: `amqp://guest:guest@127.0.0.1:${port}`, connectTimeout: "100ms" });
  const [address] = options.addresses;
  if (!address) throw new Error("no address");
  expect(await whyNotOpened(address, options, new AbortController().signal)).toBeUndefined();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});
