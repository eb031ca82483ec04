/**
 * @typedef {object} QueueInfo
 * @property {string} name
 * @property {string} type
 * @property {number} messages ready and unacknowledged; the broker refreshes its figures every 5 s
 * @property {string} [leader] the node that leads a quorum queue
 */

/**
 * A few calls of RabbitMQ's management API, on the virtual host `/`.
 * @param {string} managementUrl with user and password
 */
export function managementApi(managementUrl) {
  const url = new URL(managementUrl);
  const authorization = `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString("base64")}`;

  /**
   * @param {string} method
   * @param {string} path
   * @param {{ body?: unknown, headers?: Record<string, string>, accept?: readonly number[] }} [options] `accept`: statuses that are fine beside 2xx
   * @returns {Promise<any>} the parsed answer, `undefined` when it has no body
   */
  async function call(method, path, { body, headers = {}, accept = [] } = {}) {
    const response = await fetch(`${url.protocol}//${url.host}/api${path}`, {
      method,
      headers: { authorization, "content-type": "application/json", ...headers },
      signal: AbortSignal.timeout(15_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok && !accept.includes(response.status))
      throw new Error(`RabbitMQ's management API: ${method} ${path} gave ${response.status}: ${text}`);
    return response.ok && text !== "" ? JSON.parse(text) : undefined;
  }

  return {
    call,

    /** @returns {Promise<boolean>} whether the API answers */
    async answers() {
      try {
        await call("GET", "/overview");
        return true;
      } catch {
        return false;
      }
    },

    /** @returns {Promise<QueueInfo[]>} */
    listQueues: () => call("GET", "/queues/%2F?disable_stats=true&enable_queue_totals=true").then((queues) => queues ?? []),

    /** @param {string} name @returns {Promise<QueueInfo>} */
    queue: (name) => call("GET", `/queues/%2F/${encodeURIComponent(name)}`),

    /** @param {string} name @returns {Promise<void>} */
    deleteQueue: (name) => call("DELETE", `/queues/%2F/${encodeURIComponent(name)}`, { accept: [404] }),

    /** @param {string} name @returns {Promise<void>} */
    deleteExchange: (name) => call("DELETE", `/exchanges/%2F/${encodeURIComponent(name)}`, { accept: [404] }),

    /** @returns {Promise<{ name: string }[]>} */
    listConnections: () => call("GET", "/connections").then((connections) => connections ?? []),

    /** @returns {Promise<{ name: string, running: boolean }[]>} */
    listNodes: () => call("GET", "/nodes").then((nodes) => nodes ?? []),
  };
}
