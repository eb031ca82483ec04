/**
 * The ports of a RabbitMQ node, from its AMQP port: management 10,000 above it, Erlang's distribution 20,000 above, its port mapper 8,000 above.
 * @param {number} amqp
 * @param {number} [management]
 */
export function portsFor(amqp, management = amqp + 10_000) {
  return { amqp, management, distribution: amqp + 20_000, epmd: amqp + 8_000 };
}

/**
 * @param {import("./rabbitmq-node.mjs").RabbitmqNode} node
 * @returns {import("./broker.mjs").LocalServer}
 */
export function asServer(node) {
  return {
    running: () => node.pid !== undefined,
    start: () => node.start(),
    async stop() {
      await node.stop();
      await node.stopHelpers();
    },
    deleteData: () => node.deleteData(),
  };
}
